//! Clips, filmed or made, as moving backgrounds: what a file says of its pictures, checked. A [`player`] decodes them, and both are
//! done by a process of their own, the [`projector`]: whoever makes films has a [`Footage`], and never reads a clip's bytes.
//!
//! Read is H.264 in MP4 and `QuickTime`, as phones, editing programs and models write it: with frames out of order, an edit list,
//! any rate, and turned on its side. Nothing that the file says of itself is believed before it is checked, and nothing is
//! allocated that its length does not bear out.
//!
//! `shiguredo_mp4` reads the index: it takes one box at a time, which lets a film with an odd sound track pass, allocates no more
//! than the file has, and needs nothing else. (`re_mp4` and `mp4` index into tables unchecked, `symphonia` leaves the order of
//! frames and their turn out, and the last `mp4parse` is of 2023.) `h264-reader` reads what H.264 says of sizes and colours.

mod player;
mod projector;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use h264_reader::nal::sps::{AspectRatioInfo, ChromaFormat, FrameMbsFlags, SeqParameterSet};
use h264_reader::rbsp::{BitReader, decode_nal};
use shiguredo_mp4::aux::SampleTableAccessor;
use shiguredo_mp4::boxes::{
    AvccBox, Co64Box, CttsBox, ElstBox, HdlrBox, MdhdBox, MvhdBox, SampleEntry, StblBox, StcoBox, StscBox,
    StsdBox, StszBox, SttsBox, TkhdBox, UnknownBox, VisualSampleEntryFields,
};
use shiguredo_mp4::{BoxHeader, BoxSize, BoxType, Decode, Either};

use self::player::Colors;
pub(crate) use self::projector::Screen;
pub use self::projector::{Footage, Projector, Projectors, read_clip};
use super::LONGEST;

/// Bytes of a file at the most.
const FILE: usize = 200 << 20;
/// Bytes of a table of the index at the most: the sizes of three hours' frames take less.
const TABLE: usize = 4 << 20;
/// Pixels of a side at the most.
const SIDE: u32 = 4_096;
/// Frames a second at the most.
const RATE: f64 = 60.0;
/// Pixels a second at the most: 3840×2160 thirty times, a little more than 1920×1920 sixty times.
const PIXELS_A_SECOND: f64 = 3_840.0 * 2_160.0 * 30.5;
/// Pixels that the decoder keeps at the most, to make other frames of: sixteen frames of 1920×1920, as many as there may be.
const KEPT: u32 = 16 * 1_920 * 1_920;
/// Frames that are used at the most.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand")]
const FRAMES: usize = ((LONGEST + 1.0) * (RATE + 1.0)) as usize;

/// A file, whose owners share it.
type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A clip whose file has been looked through, up to its first [`LONGEST`] seconds.
struct Clip {
    file: Bytes,
    /// In the order in which they are decoded.
    samples: Vec<Sample>,
    /// In the order in which they are shown; there is one at least.
    shown: Vec<Shown>,
    /// What a decoder is told before the first frame.
    head: Vec<u8>,
    /// Bytes that tell a unit's length.
    length_bytes: usize,
    /// Ticks of a second.
    ticks: u32,
    /// How long it lasts, in ticks; one at least.
    length: u64,
    /// Width and height as they are decoded.
    size: (u32, u32),
    /// Width of a pixel for a height of 1.
    aspect: f64,
    turn: Turn,
    colors: Colors,
}

/// A frame in the file.
#[derive(Debug, Clone, Copy)]
struct Sample {
    start: usize,
    bytes: usize,
    /// When it is shown, in ticks of the file.
    pub at: i64,
    /// Whether it needs no other frame.
    pub is_key: bool,
}

/// A frame on the screen.
#[derive(Debug, Clone, Copy)]
struct Shown {
    /// From when, in ticks of the clip.
    pub from: u64,
    /// Which sample it is.
    pub sample: usize,
}

/// How a picture is turned upright: mirrored at its axes first, then its axes exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Turn {
    /// Whether its columns go from the right to the left.
    pub columns_back: bool,
    /// Whether its rows go upwards.
    pub rows_back: bool,
    /// Whether its rows become columns.
    pub is_on_its_side: bool,
}

impl Turn {
    /// The turn of a track header's matrix (ISO/IEC 14496-12, 8.3.2), whose quarter turns and mirrors are all that is known.
    fn of(matrix: [i32; 9]) -> Self {
        let [a, b, _, c, d, ..] = matrix;
        let is_on_its_side = b.unsigned_abs().max(c.unsigned_abs()) > a.unsigned_abs().max(d.unsigned_abs());
        let (across, down) = if is_on_its_side { (b, c) } else { (a, d) };
        Self { columns_back: across < 0, rows_back: down < 0, is_on_its_side }
    }
}

/// How pictures may be compressed that are not read, and what entries of such tracks are called.
const CODECS: [(&str, &[&[u8; 4]]); 8] = [
    ("HEVC (H.265)", &[b"hvc1", b"hev1", b"dvh1", b"dvhe"]),
    ("VVC (H.266)", &[b"vvc1", b"vvi1"]),
    ("AV1", &[b"av01"]),
    ("VP9", &[b"vp09"]),
    ("VP8", &[b"vp08"]),
    ("MPEG-4 Visual", &[b"mp4v"]),
    ("single pictures (JPEG or PNG)", &[b"jpeg", b"mjpa", b"mjpb", b"mjpg", b"png "]),
    ("ProRes", &[b"apch", b"apcn", b"apcs", b"apco", b"ap4h", b"ap4x"]),
];
/// Any other way.
const OTHER: &str = "of another kind";

/// Why a clip cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum FootageError {
    /// It is none of the files that are read.
    #[error("it is no MP4 or QuickTime file that can be read: export it again as MP4 with H.264")]
    Unknown,
    /// It has more bytes than a clip may have.
    #[error("it has more than {} MiB: cut it, or export it smaller", FILE >> 20)]
    Bytes,
    /// It comes in pieces without an index.
    #[error("it is in pieces, as it is streamed: export it again as a whole MP4 file")]
    Fragmented,
    /// It has no picture track.
    #[error("there are no moving pictures in it: give a video, or the picture as one of `assetIds`")]
    NoPictures,
    /// It is protected against copies.
    #[error("it is protected against copies: give one without protection")]
    Protected,
    /// Its pictures are compressed in another way.
    #[error("its pictures are {0}, and only H.264 is read here: export it again as MP4 with H.264")]
    Codec(&'static str),
    /// Its H.264 is of a kind that is not read.
    #[error(
        "its H.264 is of a kind that is not read here, such as interlaced, 10 bits or 4:2:2: export it again as progressive 4:2:0 with 8 bits (yuv420p)"
    )]
    Kind,
    /// It has more pixels than a clip may have.
    #[error("it has {0}×{1} pixels: export it with 3840×2160 or fewer, of which 1080×1920 are shown")]
    Size(u32, u32),
    /// It has more frames a second than a clip may have.
    #[error("it has {0} frames a second: export it with 60 or fewer, and above 1920×1920 pixels with 30")]
    Rate(u32),
    /// It ends too early, or contradicts itself.
    #[error("it is damaged: export it again, and send all of it")]
    Damaged,
    /// Whoever reads it has not come to an end.
    #[error(
        "it takes more time or memory than a clip may, or breaks what reads it: export it again as MP4 with H.264, shorter or smaller"
    )]
    Stopped,
    /// Nobody could read it, which is not its fault.
    #[error("what reads it could not be started, or was stopped with the server: try again")]
    Away,
}

type Result<T, E = FootageError> = std::result::Result<T, E>;

/// What is said by a box that cannot be read.
fn damaged<E>(_: E) -> FootageError {
    FootageError::Damaged
}

impl Clip {
    /// Reads what a file says of its pictures.
    fn read(file: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self> {
        let file: Bytes = Arc::new(file);
        // The readers are safe code, and may still stumble over what somebody has made for them to stumble over.
        let read = catch_unwind(AssertUnwindSafe(|| index(&file)));
        read.unwrap_or(Err(FootageError::Damaged))
    }

    /// Its length in seconds, as far as it is used.
    #[expect(clippy::cast_precision_loss, reason = "a minute's ticks")]
    fn seconds(&self) -> f64 {
        self.length as f64 / f64::from(self.ticks)
    }

    /// Width and height as it is seen: upright, with square pixels.
    fn upright(&self) -> (f64, f64) {
        let (width, height) = (f64::from(self.size.0) * self.aspect, f64::from(self.size.1));
        if self.turn.is_on_its_side { (height, width) } else { (width, height) }
    }

    /// Writes a sample as the decoder takes it: the pieces of frames and their parameters, each after a start code. Everything
    /// else is left out, and with it what could change the size that was checked.
    fn write(&self, sample: Sample, units: &mut Vec<u8>) -> Result<()> {
        for unit in self.units(sample) {
            let unit = unit?;
            if matches!(kind(unit), SLICE | KEY | PICTURE_SET) {
                put(unit, units)?;
            }
        }
        Ok(())
    }

    fn units(&self, sample: Sample) -> impl Iterator<Item = Result<&[u8]>> {
        let file = (*self.file).as_ref();
        units(file.get(sample.start..sample.start + sample.bytes).unwrap_or_default(), self.length_bytes)
    }
}

/// Kinds of units (ITU-T H.264, table 7-1).
const SLICE: u8 = 1;
const KEY: u8 = 5;
const SEQUENCE_SET: u8 = 7;
const PICTURE_SET: u8 = 8;

fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |first| first & 0x1F)
}

/// The units of a sample, each under its length.
fn units(mut sample: &[u8], length_bytes: usize) -> impl Iterator<Item = Result<&[u8]>> {
    std::iter::from_fn(move || {
        let (length, rest) = sample.split_at_checked(length_bytes)?;
        let length = length.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
        let Some((unit, rest)) = rest.split_at_checked(length) else {
            sample = &[];
            return Some(Err(FootageError::Damaged));
        };
        sample = rest;
        Some(Ok(unit))
    })
}

/// Adds a unit after a start code. One with a start code within would be two to the decoder, the second one unseen here.
fn put(unit: &[u8], units: &mut Vec<u8>) -> Result<()> {
    if unit.windows(3).any(|three| three[0] == 0 && three[1] == 0 && three[2] < 3) {
        return Err(FootageError::Damaged);
    }
    units.extend([0, 0, 0, 1]);
    units.extend(unit);
    Ok(())
}

/// A box: its name, the whole of it, and what it holds.
struct Part<'a> {
    name: [u8; 4],
    whole: &'a [u8],
    content: &'a [u8],
}

impl<'a> Part<'a> {
    fn decode<T: Decode>(&self) -> Result<T> {
        if self.content.len() > TABLE {
            return Err(FootageError::Damaged);
        }
        T::decode(self.whole).map(|decoded| decoded.0).map_err(damaged)
    }

    fn find(&self, path: &[&[u8; 4]]) -> Option<Part<'a>> {
        let mut found = Part { name: self.name, whole: self.whole, content: self.content };
        for name in path {
            found = parts(found.content).find(|part| part.name == **name)?;
        }
        Some(found)
    }
}

/// The boxes in a range, up to the first that is none.
fn parts(mut bytes: &[u8]) -> impl Iterator<Item = Part<'_>> {
    std::iter::from_fn(move || {
        let (header, content) = BoxHeader::decode_header_and_payload(bytes).ok()?;
        let (whole, rest) = bytes.split_at_checked(header.external_size() + content.len())?;
        bytes = rest;
        let name = match header.box_type {
            BoxType::Normal(name) => name,
            BoxType::Uuid(_) => *b"uuid",
        };
        Some(Part { name, whole, content })
    })
}

fn index(file: &Bytes) -> Result<Clip> {
    let bytes = (**file).as_ref();
    if bytes.len() > FILE {
        return Err(FootageError::Bytes);
    }
    let known = [*b"ftyp", *b"moov", *b"mdat", *b"free", *b"skip", *b"wide", *b"pnot"];
    if !parts(bytes).next().is_some_and(|first| known.contains(&first.name)) {
        // The first box may be the data, and cut.
        let is_cut = bytes.get(4..8).is_some_and(|name| known.iter().any(|known| known == name));
        return Err(if is_cut { FootageError::Damaged } else { FootageError::Unknown });
    }
    let movie = parts(bytes).find(|part| part.name == *b"moov").ok_or(FootageError::Damaged)?;
    let mut refused = FootageError::NoPictures;
    for track in parts(movie.content).filter(|part| part.name == *b"trak") {
        let Some(handler) = track.find(&[b"mdia", b"hdlr"]) else { continue };
        if handler.decode::<HdlrBox>()?.handler_type != *b"vide" {
            continue;
        }
        let table = track.find(&[b"mdia", b"minf", b"stbl"]).ok_or(FootageError::Damaged)?;
        match entry(&table)? {
            Ok(entry) => {
                let is_in_pieces = movie.find(&[b"mvex"]).is_some();
                return self::track(file, &movie, &track, &table, &entry).map_err(|error| match error {
                    FootageError::NoPictures if is_in_pieces => FootageError::Fragmented,
                    other => other,
                });
            }
            Err(other) => refused = other,
        }
    }
    Err(refused)
}

/// What a track's entry says of its pictures.
struct Entry {
    sets: AvccBox,
    aspect: Option<(u32, u32)>,
    /// The number of the colours' matrix, and whether the values have the full range.
    matrix: Option<(u8, bool)>,
    count: usize,
}

/// The entry of a table of H.264; else why it is another's.
fn entry(table: &Part<'_>) -> Result<Result<Entry>> {
    let table = table.find(&[b"stsd"]).ok_or(FootageError::Damaged)?;
    let entries = || parts(table.content.get(8..).unwrap_or_default()).take(16);
    let first = entries().next().ok_or(FootageError::Damaged)?;
    let other = match &first.name {
        b"avc1" | b"avc3" => {
            let (_, fields) = VisualSampleEntryFields::decode(first.content).map_err(damaged)?;
            let children = first.content.get(fields..).unwrap_or_default();
            let find = |name: &[u8; 4]| parts(children).find(|part| part.name == *name);
            let word =
                |part: &Part<'_>, at| Some(u32::from_be_bytes(*part.content.get(at..)?.first_chunk::<4>()?));
            let aspect = find(b"pasp").and_then(|pixel| Some((word(&pixel, 0)?, word(&pixel, 4)?)));
            let matrix = find(b"colr").and_then(|colors| {
                let is_known = colors.content.starts_with(b"nclx") || colors.content.starts_with(b"nclc");
                let matrix = *colors.content.get(9).filter(|_| is_known)?;
                let is_full = colors.content.get(10).is_some_and(|flags| flags & 0x80 != 0);
                Some((matrix, is_full))
            });
            let sets = find(b"avcC").ok_or(FootageError::Damaged)?.decode::<AvccBox>()?;
            return Ok(Ok(Entry { sets, aspect, matrix, count: entries().count() }));
        }
        b"encv" => return Ok(Err(FootageError::Protected)),
        name => CODECS.iter().find(|codec| codec.1.contains(&name)).map_or(OTHER, |codec| codec.0),
    };
    Ok(Err(FootageError::Codec(other)))
}

/// What a sequence's parameters say, checked.
struct Sequence {
    size: (u32, u32),
    aspect: Option<(u16, u16)>,
    matrix: Option<u8>,
    is_full: Option<bool>,
}

fn sequence(unit: &[u8]) -> Result<Sequence> {
    if kind(unit) != SEQUENCE_SET {
        return Err(FootageError::Damaged);
    }
    let bits = decode_nal(unit).map_err(damaged)?;
    let set = SeqParameterSet::from_bits(BitReader::new(&bits[..])).map_err(damaged)?;
    let blocks = (set.pic_width_in_mbs_minus1, set.pic_height_in_map_units_minus1);
    let side = |blocks: u32| blocks.saturating_add(1).saturating_mul(16);
    let (width, height) = (side(blocks.0), side(blocks.1));
    if width.max(height) > SIDE {
        return Err(FootageError::Size(width, height));
    }
    let chroma = &set.chroma_info;
    let is_read = chroma.chroma_format == ChromaFormat::YUV420
        && chroma.bit_depth_luma_minus8 == 0
        && chroma.bit_depth_chroma_minus8 == 0
        && set.frame_mbs_flags == FrameMbsFlags::Frames;
    // Frames that are kept to make others of.
    if !is_read || width.saturating_mul(height).saturating_mul(set.max_num_ref_frames.max(1)) > KEPT {
        return Err(FootageError::Kind);
    }
    let (width, height) = set.pixel_dimensions().map_err(damaged)?;
    if width.min(height) < 16 {
        return Err(FootageError::Damaged);
    }
    let more = set.vui_parameters.as_ref();
    let signal = more.and_then(|more| more.video_signal_type.as_ref());
    Ok(Sequence {
        size: (width, height),
        aspect: more.and_then(|more| more.aspect_ratio_info.as_ref()).and_then(AspectRatioInfo::get),
        matrix: signal
            .and_then(|signal| signal.colour_description.as_ref())
            .map(|colors| colors.matrix_coefficients)
            // The number of what is not said.
            .filter(|matrix| *matrix != 2),
        is_full: signal.map(|signal| signal.video_full_range_flag),
    })
}

/// The tables of a track, put together.
fn tables(table: &Part<'_>, entries: usize) -> Result<SampleTableAccessor<StblBox>> {
    let find = |name: &[u8; 4]| parts(table.content).find(|part| part.name == *name);
    let needed = |name: &[u8; 4]| find(name).ok_or(FootageError::Damaged);
    // The descriptions have been looked at; the tables only ask how many there are.
    let blank =
        UnknownBox { box_type: BoxType::Normal(*b"avc1"), box_size: BoxSize::U32(8), payload: Vec::new() };
    let offsets = match find(b"stco") {
        Some(offsets) => Either::A(offsets.decode::<StcoBox>()?),
        None => Either::B(needed(b"co64")?.decode::<Co64Box>()?),
    };
    let tables = StblBox {
        stsd_box: StsdBox { entries: vec![SampleEntry::Unknown(blank); entries] },
        stts_box: needed(b"stts")?.decode::<SttsBox>()?,
        ctts_box: find(b"ctts").map(|order| order.decode::<CttsBox>()).transpose()?,
        cslg_box: None,
        stsc_box: needed(b"stsc")?.decode::<StscBox>()?,
        stsz_box: needed(b"stsz")?.decode::<StszBox>()?,
        stco_or_co64_box: offsets,
        stss_box: None,
        sdtp_box: None,
        unknown_boxes: Vec::new(),
    };
    SampleTableAccessor::new(tables).map_err(damaged)
}

/// The part of a track that is shown, in its ticks: from when, and how long where that is said.
fn edited(movie: &Part<'_>, track: &Part<'_>, ticks: u32) -> Result<(Option<i64>, Option<u64>)> {
    let Some(list) = track.find(&[b"edts", b"elst"]) else { return Ok((None, None)) };
    let list = list.decode::<ElstBox>()?;
    // An entry without pictures puts the clip off, which as a background begins at once; of several cuts the first is taken.
    let Some(edit) = list.entries.iter().find(|edit| edit.media_time >= 0) else { return Ok((None, None)) };
    let header = movie.find(&[b"mvhd"]).ok_or(FootageError::Damaged)?.decode::<MvhdBox>()?;
    let length = u128::from(edit.edit_duration) * u128::from(ticks) / u128::from(header.timescale.get());
    Ok((Some(edit.media_time), u64::try_from(length).ok().filter(|length| *length > 0)))
}

fn track(file: &Bytes, movie: &Part<'_>, track: &Part<'_>, table: &Part<'_>, entry: &Entry) -> Result<Clip> {
    let bytes = (**file).as_ref();
    let needed = |path: &[&[u8; 4]]| track.find(path).ok_or(FootageError::Damaged);
    let header = needed(&[b"tkhd"])?.decode::<TkhdBox>()?;
    let ticks = needed(&[b"mdia", b"mdhd"])?.decode::<MdhdBox>()?.timescale.get();
    let length_bytes = usize::from(entry.sets.length_size_minus_one.get()) + 1;
    let (cut, length) = edited(movie, track, ticks)?;
    let tables = tables(table, entry.count)?;
    if tables.sample_count() == 0 {
        return Err(FootageError::NoPictures);
    }
    #[expect(clippy::cast_possible_truncation, reason = "a minute")]
    let most = i64::from(ticks) * LONGEST as i64;
    let start = cut.unwrap_or(0);
    let last = start.checked_add(most).ok_or(FootageError::Damaged)?;
    let (mut samples, mut all, mut end) = (Vec::new(), 0_usize, i64::MIN);
    for sample in tables.samples() {
        let decoded = i64::try_from(sample.timestamp()).map_err(damaged)?;
        // Frames are decoded before they are shown, by less than a second.
        if decoded > last.saturating_add(ticks.into()) {
            break;
        }
        let at = decoded.checked_add(sample.composition_time_offset().unwrap_or(0));
        let at = at.filter(|at| at.unsigned_abs() < 1 << 62).ok_or(FootageError::Damaged)?;
        let begin = usize::try_from(sample.data_offset()).map_err(damaged)?;
        let size = sample.data_size() as usize;
        all += size;
        let data = begin.checked_add(size).and_then(|stop| bytes.get(begin..stop));
        // Frames do not share their bytes.
        let data = data.filter(|_| all <= bytes.len()).ok_or(FootageError::Damaged)?;
        if sample.chunk().sample_entry_index() > 0 {
            return Err(FootageError::Kind);
        }
        let is_key = units(data, length_bytes).any(|unit| unit.is_ok_and(|unit| kind(unit) == KEY));
        end = end.max(at.saturating_add(sample.duration().into()));
        if is_key && at <= start {
            samples.clear();
        }
        if samples.len() == FRAMES {
            let seconds = decoded.saturating_sub(start) / i64::from(ticks);
            #[expect(clippy::cast_possible_wrap, reason = "a few thousand")]
            let rate = FRAMES as i64 / seconds.max(1);
            return Err(FootageError::Rate(u32::try_from(rate).unwrap_or(u32::MAX)));
        }
        samples.push(Sample { start: begin, bytes: size, at, is_key });
    }
    // Without a cut it begins with its first frame, however much later the file shows that.
    let earliest = samples.iter().map(|sample: &Sample| sample.at).min().ok_or(FootageError::NoPictures)?;
    let start = cut.map_or(earliest, |cut| cut.max(earliest));
    let stop = length.and_then(|length| start.checked_add_unsigned(length)).unwrap_or(i64::MAX);
    let stop = stop.min(end).min(last).max(start.saturating_add(1));
    let shown = shown(&samples, start, stop)?;
    let length = stop.abs_diff(start);

    // Where they are not in the entry, the parameters are in the first frame.
    let first = samples.first().copied().ok_or(FootageError::NoPictures)?;
    let first = bytes.get(first.start..first.start + first.bytes).unwrap_or_default();
    let in_band =
        |wanted| units(first, length_bytes).filter_map(Result::ok).filter(move |unit| kind(unit) == wanted);
    let mut sets: Vec<&[u8]> = entry.sets.sps_list.iter().map(Vec::as_slice).collect();
    if sets.is_empty() {
        sets = in_band(SEQUENCE_SET).collect();
    }
    let mut head = Vec::new();
    let mut said = None;
    for unit in sets {
        let found = sequence(unit)?;
        if said.as_ref().is_some_and(|said: &Sequence| said.size != found.size) {
            return Err(FootageError::Kind);
        }
        put(unit, &mut head)?;
        said.get_or_insert(found);
    }
    let pictures = entry.sets.pps_list.iter().map(Vec::as_slice);
    pictures.filter(|unit| kind(unit) == PICTURE_SET).try_for_each(|unit| put(unit, &mut head))?;
    let said = said.ok_or(FootageError::Damaged)?;
    check_rate(&shown, said.size, ticks, length)?;
    let aspect = entry.aspect.or(said.aspect.map(|(width, height)| (width.into(), height.into())));
    let aspect = aspect.map_or(1.0, |(width, height)| f64::from(width) / f64::from(height));
    let named = entry.matrix.unwrap_or((2, false));
    Ok(Clip {
        file: Arc::clone(file),
        samples,
        shown,
        head,
        length_bytes,
        ticks,
        length,
        size: said.size,
        aspect: if (0.25..=4.0).contains(&aspect) { aspect } else { 1.0 },
        turn: Turn::of(header.matrix),
        colors: Colors::new(said.matrix.unwrap_or(named.0), said.is_full.unwrap_or(named.1), said.size),
    })
}

/// The samples that are shown from one moment to another, in order.
fn shown(samples: &[Sample], start: i64, stop: i64) -> Result<Vec<Shown>> {
    let mut order: Vec<(i64, usize)> = samples.iter().map(|sample| sample.at).zip(0..).collect();
    order.sort_unstable();
    // Whatever begins before the start is over then, except the last.
    let first = order.partition_point(|(at, _)| *at <= start).saturating_sub(1);
    let within = order.into_iter().skip(first).filter(|(at, _)| *at < stop);
    let shown: Vec<Shown> = within
        .map(|(at, sample)| Shown { from: at.saturating_sub(start).max(0).unsigned_abs(), sample })
        .collect();
    if shown.is_empty() { Err(FootageError::NoPictures) } else { Ok(shown) }
}

/// Whether there are no more frames and pixels in a second than there may be.
#[expect(clippy::cast_precision_loss, reason = "a minute's ticks")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
fn check_rate(shown: &[Shown], size: (u32, u32), ticks: u32, length: u64) -> Result<()> {
    let seconds = length as f64 / f64::from(ticks);
    let rate = shown.len() as f64 / seconds;
    // A second's worth may come at once, whatever the length.
    let is_short = shown.len() <= 60;
    let pixels = f64::from(size.0) * f64::from(size.1);
    if !is_short && (rate > RATE + 0.5 || rate * pixels > PIXELS_A_SECOND) {
        return Err(FootageError::Rate(rate.round() as u32));
    }
    Ok(())
}
