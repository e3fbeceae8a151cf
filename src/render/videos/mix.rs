//! A voice and music become a film's sound.
//!
//! The voice is heard as it is. Music goes on for as long as the film, makes way for the voice before it speaks and comes back
//! after it, and fades out at the end. Where both together would be too loud, a limiter turns them down before it comes to that.

use std::collections::VecDeque;

use super::recording::{Frame, RATE, Recording};

/// Samples of so many milliseconds.
const fn milliseconds(count: usize) -> usize {
    RATE as usize / 1_000 * count
}

/// Samples over which it is decided whether somebody speaks.
const BLOCK: usize = milliseconds(10);
/// Loudness of a block in which somebody speaks: 45 decibels below full scale.
const SPEECH: f32 = 0.005_6;
/// Blocks before speech in which music begins to make way.
const LEAD: usize = 15;
/// Blocks after speech before music comes back: a breath is no pause.
const HOLD: usize = 40;
/// What is left of music under a voice: 14 decibels less.
const DUCKED: f32 = 0.2;
/// Samples in which music makes way.
const AWAY: usize = milliseconds(150);
/// Samples in which it comes back.
const BACK: usize = milliseconds(600);
/// Samples over which music that begins again is blended into itself.
const SEAM: usize = milliseconds(50);
/// Samples in which music begins, so that it does not click.
const BEGIN: usize = milliseconds(20);
/// Samples in which it fades out at the end; of a short film a quarter.
const END: usize = milliseconds(1_500);
/// The loudest sample: a decibel below full scale, because encoding adds a little.
const CEILING: f32 = 0.89;
/// Samples by which the limiter knows what comes.
const AHEAD: usize = milliseconds(5);
/// Samples in which it comes back.
const RELEASE: usize = milliseconds(200);

/// As many frames of sound as a film has.
pub(crate) fn mix(voice: Option<&[Frame]>, music: Option<&Recording>, length: usize) -> Vec<Frame> {
    let mut mixed = music.map_or_else(|| vec![[0.0; 2]; length], |music| bed(music.frames(), length));
    if let Some(voice) = voice {
        if music.is_some() {
            duck(&mut mixed, voice);
        }
        for (frame, spoken) in mixed.iter_mut().zip(voice) {
            *frame = [frame[0] + spoken[0], frame[1] + spoken[1]];
        }
    }
    limit(&mut mixed);
    mixed
}

/// Recordings one after the other, each from the sample that is named with it, as one voice.
pub(crate) fn lay(recordings: &[(usize, &Recording)], length: usize) -> Vec<Frame> {
    let mut voice = vec![[0.0; 2]; length];
    for (start, recording) in recordings {
        for (frame, spoken) in voice.iter_mut().skip(*start).zip(recording.frames()) {
            *frame = [frame[0] + spoken[0], frame[1] + spoken[1]];
        }
    }
    voice
}

fn scale(frame: &mut Frame, gain: f32) {
    *frame = frame.map(|sample| sample * gain);
}

#[expect(clippy::cast_precision_loss, reason = "a film's samples")]
fn share(part: usize, whole: usize) -> f32 {
    part as f32 / whole as f32
}

/// Music from beginning to end of a film.
fn bed(music: &[Frame], length: usize) -> Vec<Frame> {
    let seam = SEAM.min(music.len() / 2);
    let period = (music.len() - seam).max(1);
    let end = END.min(length / 4).max(1);
    let frame = |at: usize| {
        let place = at % period;
        let mut frame = music.get(place).copied().unwrap_or_default();
        if at >= period
            && place < seam
            && let Some(last) = music.get(period + place)
        {
            let risen = share(place, seam);
            frame = [0, 1].map(|side| frame[side] * risen + last[side] * (1.0 - risen));
        }
        let gain = share(at.min(BEGIN), BEGIN).min(share((length - at).min(end), end));
        scale(&mut frame, gain);
        frame
    };
    (0..length).map(frame).collect()
}

/// Turns music down where a voice speaks.
fn duck(music: &mut [Frame], voice: &[Frame]) {
    let speaks = |block: &[Frame]| {
        let power: f32 = block.iter().flatten().map(|sample| sample * sample).sum();
        power > SPEECH * SPEECH * share(block.len() * 2, 1)
    };
    let speech: Vec<bool> = voice.chunks(BLOCK).map(speaks).collect();
    let is_near = |block: usize| {
        let near = block.saturating_sub(HOLD)..(block + LEAD + 1).min(speech.len());
        speech.get(near).is_some_and(|near| near.contains(&true))
    };
    let (away, back) = ((1.0 - DUCKED) / share(AWAY, 1), (1.0 - DUCKED) / share(BACK, 1));
    // What a film begins with does not fade.
    let mut gain = if is_near(0) { DUCKED } else { 1.0 };
    for (block, frames) in music.chunks_mut(BLOCK).enumerate() {
        let is_near = is_near(block);
        for frame in frames {
            gain = if is_near { (gain - away).max(DUCKED) } else { (gain + back).min(1.0) };
            scale(frame, gain);
        }
    }
}

/// Keeps every sample within [`CEILING`].
///
/// The gain that a sample needs is that of the loudest within the next [`AHEAD`]; it rises slowly and is smoothed by its mean
/// over as many samples before. Each of those knew of the sample, so the mean is enough for it.
fn limit(frames: &mut [Frame]) {
    let needed = |frame: &Frame| {
        let peak = frame[0].abs().max(frame[1].abs());
        if peak > CEILING { CEILING / peak } else { 1.0 }
    };
    let needed: Vec<f32> = frames.iter().map(needed).collect();
    if needed.iter().all(|gain| *gain >= 1.0) {
        return;
    }
    // Places ahead whose gains rise: the first is the least.
    let mut ahead: VecDeque<usize> = VecDeque::new();
    let mut next = 0;
    let (mut held, mut sum) = (1.0_f32, f64::from(AHEAD_COUNT));
    let mut recent: VecDeque<f32> = std::iter::repeat_n(1.0, AHEAD + 1).collect();
    for (place, frame) in frames.iter_mut().enumerate() {
        while next < needed.len() && next <= place + AHEAD {
            while ahead.back().is_some_and(|last| needed[*last] >= needed[next]) {
                ahead.pop_back();
            }
            ahead.push_back(next);
            next += 1;
        }
        while ahead.front().is_some_and(|first| *first < place) {
            ahead.pop_front();
        }
        let least = ahead.front().map_or(1.0, |first| needed[*first]);
        held = least.min(held + (1.0 - held) / share(RELEASE, 1));
        recent.push_back(held);
        sum += f64::from(held) - f64::from(recent.pop_front().unwrap_or(1.0));
        #[expect(clippy::cast_possible_truncation, reason = "a gain")]
        let gain = (sum / f64::from(AHEAD_COUNT)) as f32;
        *frame = frame.map(|sample| (sample * gain).clamp(-CEILING, CEILING));
    }
}

/// How many gains the mean is of.
#[expect(clippy::cast_possible_truncation, reason = "a few hundred")]
const AHEAD_COUNT: u32 = AHEAD as u32 + 1;

#[cfg(test)]
mod tests {
    use super::super::tests::{level, tone};
    use super::*;

    const SECOND: usize = RATE as usize;

    fn peak(frames: &[Frame]) -> f32 {
        frames.iter().flatten().fold(0.0, |peak, sample| sample.abs().max(peak))
    }

    fn at(frames: &[Frame], seconds: f32) -> &[Frame] {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a place"
        )]
        let start = (seconds * RATE as f32) as usize;
        &frames[start..start + SECOND / 10]
    }

    #[test]
    fn a_voice_alone_is_heard_as_it_is() {
        let voice = tone(440.0, 0.6, 1.0);
        let mixed = mix(Some(&voice), None, 2 * SECOND);
        assert_eq!(mixed.len(), 2 * SECOND);
        assert_eq!(mixed[..SECOND], voice[..]);
        assert_eq!(mixed[SECOND..], vec![[0.0; 2]; SECOND][..]);
    }

    #[test]
    fn recordings_are_laid_where_they_begin_and_no_further_than_the_film() {
        let [first, second] = [200.0, 300.0].map(|hz| Recording::of(tone(hz, 0.4, 1.0)));
        let voice = lay(&[(SECOND / 2, &first), (2 * SECOND, &second), (9 * SECOND, &first)], 3 * SECOND - 1);
        assert_eq!(voice.len(), 3 * SECOND - 1);
        assert_eq!(voice[..SECOND / 2], vec![[0.0; 2]; SECOND / 2][..]);
        assert_eq!(voice[SECOND / 2..][..SECOND], first.frames()[..]);
        assert_eq!(voice[2 * SECOND..], second.frames()[..SECOND - 1]);
    }

    #[test]
    fn music_makes_way_for_the_voice_and_comes_back() {
        // Two words with a breath between them, then silence.
        let mut voice = vec![[0.0; 2]; SECOND];
        voice.extend(tone(440.0, 0.4, 1.0));
        voice.extend(vec![[0.0; 2]; SECOND / 5]);
        voice.extend(tone(440.0, 0.4, 0.8));
        let music = Recording::of(tone(1_200.0, 0.3, 8.0));
        let mixed = mix(Some(&voice), Some(&music), 8 * SECOND);
        let music_at = |seconds| level(at(&mixed, seconds), 1_200.0);
        let full = 0.3;
        assert!((music_at(0.3) - full).abs() < 0.01, "before it speaks: {}", music_at(0.3));
        for seconds in [1.1, 1.5, 2.05, 2.5] {
            assert!((music_at(seconds) - full * DUCKED).abs() < 0.01, "{seconds}: {}", music_at(seconds));
        }
        assert!((music_at(4.5) - full).abs() < 0.01, "after it: {}", music_at(4.5));
        assert!((level(at(&mixed, 1.5), 440.0) - 0.4).abs() < 0.01, "the voice is not turned down");
        // The gain moves smoothly: no step is larger than those of the tones themselves.
        let step = mixed.windows(2).map(|pair| (pair[1][0] - pair[0][0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.3 * 0.158 + 0.4 * 0.058, "{step}");
    }

    #[test]
    fn short_music_begins_again_without_a_click_and_fades_out() {
        let music = Recording::of(tone(437.0, 0.5, 0.7));
        let mixed = mix(None, Some(&music), 6 * SECOND);
        for tenth in 1..44 {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let seconds = tenth as f32 / 10.0;
            assert!(peak(at(&mixed, seconds)) > 0.25, "it is heard at {seconds}");
        }
        let step = mixed.windows(2).map(|pair| (pair[1][0] - pair[0][0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.5 * 0.062, "{step}");
        let [early, late, last] = [4.6, 5.4, 5.89].map(|seconds| peak(at(&mixed, seconds)));
        assert!(early > late && late > last && last < 0.05, "{early} {late} {last}");
        assert!(peak(&mixed[..1]) < 0.001 && peak(&mixed[6 * SECOND - 1..]) < 0.001);
    }

    #[test]
    fn what_is_too_loud_is_turned_down_and_not_cut_off() {
        let voice = tone(300.0, 0.9, 2.0);
        let music = Recording::of(tone(1_000.0, 1.0, 4.0));
        let mixed = mix(Some(&voice), Some(&music), 4 * SECOND);
        assert!(peak(&mixed) <= CEILING, "{}", peak(&mixed));
        // A cut tone has overtones, a quieter one has none.
        let loud = mix(None, Some(&Recording::of(tone(500.0, 1.0, 4.0))), 4 * SECOND);
        let steady = &loud[SECOND..SECOND * 2];
        assert!(level(steady, 500.0) > 0.85 && level(steady, 1_500.0) < 0.005, "{}", level(steady, 1_500.0));
    }

    #[test]
    fn the_same_recordings_give_the_same_sound_at_any_length() {
        let (voice, music) = (tone(300.0, 0.9, 1.0), Recording::of(tone(900.0, 0.8, 0.3)));
        for length in [1, 2, 479, SECOND, 3 * SECOND + 1] {
            let once = mix(Some(&voice), Some(&music), length);
            assert_eq!(once.len(), length);
            assert_eq!(once, mix(Some(&voice), Some(&music), length));
        }
        assert_eq!(mix(None, Some(&Recording::of(vec![[0.5; 2]])), 3).len(), 3);
    }
}
