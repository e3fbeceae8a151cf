//! Has a film's sound begin with its pictures.
//!
//! An AAC encoder puts a block of its own before the sound, which players leave out when an edit list says so (ISO/IEC 14496-12,
//! 8.6.6). The muxer writes none, so that it is put into the finished index here; and because players take the ticks of a sound
//! track for samples, it is given as many of them.

use std::ops::Range;

/// Bytes of an edit list of one entry with the box around it.
const EDIT: u32 = 36;

/// Puts an edit list into the sound's track, whose samples are so many a second: it begins after some of them, and lasts as many
/// milliseconds as the film. None when the index is not as the muxer writes it.
pub(crate) fn begin_sound_after(mp4: &mut Vec<u8>, samples: u32, rate: u32, milliseconds: u32) -> Option<()> {
    let movie = one(mp4, 0..mp4.len(), *b"moov")?;
    let data = one(mp4, 0..mp4.len(), *b"mdat")?;
    let tracks: Vec<Range<usize>> =
        boxes(mp4, movie.clone()).filter(|found| &found.0 == b"trak").map(|found| found.1).collect();
    let is_sound = |track: &&Range<usize>| {
        let handler = within(mp4, track, &[b"mdia", b"hdlr"])?;
        Some(mp4.get(handler.start + 8..)?.starts_with(b"soun"))
    };
    let sound = tracks.iter().find(|track| is_sound(track) == Some(true))?.clone();
    let header = one(mp4, sound.clone(), *b"tkhd")?;
    let place = header.end;
    let timing = within(mp4, &sound, &[b"mdia", b"mdhd"])?.start + 12;
    let durations = within(mp4, &sound, &[b"mdia", b"minf", b"stbl", b"stts"])?;
    let ticks = word(mp4, timing)?;
    set(mp4, timing, rate)?;
    // The length of all of it, and of every run of samples.
    for at in std::iter::once(timing + 4).chain((durations.start + 12..durations.end).step_by(8)) {
        let scaled = (u64::from(word(mp4, at)?) * u64::from(rate)).checked_div(u64::from(ticks))?;
        set(mp4, at, u32::try_from(scaled).ok()?)?;
    }
    if data.start > movie.start {
        for track in &tracks {
            let offsets = within(mp4, track, &[b"mdia", b"minf", b"stbl", b"stco"])?;
            for at in (offsets.start + 8..offsets.end).step_by(4) {
                add(mp4, at, EDIT)?;
            }
        }
    }
    let movie_header = one(mp4, movie.clone(), *b"mvhd")?;
    // Both are as long as the film, in their first version, which the muxer writes for films of less than a month.
    set(mp4, movie_header.start + 16, milliseconds)?;
    set(mp4, header.start + 20, milliseconds)?;
    for container in [&movie, &sound] {
        add(mp4, container.start.checked_sub(8)?, EDIT)?;
    }
    let words = [
        EDIT,
        u32::from_be_bytes(*b"edts"),
        EDIT - 8,
        u32::from_be_bytes(*b"elst"),
        0,
        1,
        milliseconds,
        samples,
        1 << 16,
    ];
    mp4.splice(place..place, words.iter().flat_map(|word| word.to_be_bytes()));
    Some(())
}

/// The boxes in a range: their names, and where what they hold is.
fn boxes(mp4: &[u8], range: Range<usize>) -> impl Iterator<Item = ([u8; 4], Range<usize>)> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let size = word(mp4, at)? as usize;
        let name = *mp4.get(at + 4..)?.first_chunk::<4>()?;
        let end = at.checked_add(size).filter(|end| size >= 8 && *end <= range.end)?;
        let found = (name, at + 8..end);
        at = end;
        Some(found)
    })
}

fn one(mp4: &[u8], range: Range<usize>, name: [u8; 4]) -> Option<Range<usize>> {
    boxes(mp4, range).find(|found| found.0 == name).map(|found| found.1)
}

fn within(mp4: &[u8], range: &Range<usize>, path: &[&[u8; 4]]) -> Option<Range<usize>> {
    path.iter().try_fold(range.clone(), |range, name| one(mp4, range, **name))
}

fn word(mp4: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*mp4.get(at..)?.first_chunk::<4>()?))
}

fn set(mp4: &mut [u8], at: usize, value: u32) -> Option<()> {
    *mp4.get_mut(at..)?.first_chunk_mut::<4>()? = value.to_be_bytes();
    Some(())
}

fn add(mp4: &mut [u8], at: usize, more: u32) -> Option<()> {
    set(mp4, at, word(mp4, at)?.checked_add(more)?)
}
