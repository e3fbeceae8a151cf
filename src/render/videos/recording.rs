//! Recordings that people have uploaded, decoded: whatever they are, they become stereo at the film's own rate.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::LONGEST;

/// Samples a second of a film's sound.
pub(crate) const RATE: u32 = 48_000;
/// Rates that recordings may have.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=96_000;
/// How much longer than the longest film a recording is read, in seconds: enough to tell that it is longer.
const BEYOND: f64 = 1.0;
/// Pieces of a recording that are decoded at the most: one of a minute has about a tenth of them.
const PACKETS: u32 = 200_000;
/// Frames that are resampled at a time.
const CHUNK: usize = 1_024;
/// What is quieter than this is not heard: 60 decibels below full scale.
const QUIET: f32 = 0.001;

/// Left and right.
pub(crate) type Frame = [f32; 2];

/// A recording, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Its frames at [`RATE`], up to the last that is heard.
    frames: Vec<Frame>,
    is_whole: bool,
}

/// Why a recording cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// It is none of the files that are read.
    #[error("it is no MP3, M4A, AAC, WAV or Ogg file that can be read: export it again as one of them")]
    Unknown,
    /// It is compressed in a way that is not read.
    #[error(
        "its kind of compression is not read here: export it as MP3, WAV, Ogg Vorbis or plain AAC (AAC-LC)"
    )]
    Unsupported,
    /// It has more than two channels.
    #[error("it has {0} channels: export it as mono or stereo")]
    Channels(usize),
    /// It has a sample rate that is out of the ordinary.
    #[error("it has {0} samples a second: export it with 44,100 or 48,000")]
    Rate(u32),
    /// It ends too early, or what it holds is no sound.
    #[error("it is damaged: export it again, and send all of it")]
    Damaged,
    /// It is silence, or has no sound at all.
    #[error("there is nothing to hear in it: give another, or leave it out")]
    Silent,
}

impl Recording {
    /// Decodes a recording, as far as the longest film would need it.
    pub fn read(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self, RecordingError> {
        // The decoders are safe code, and may still stumble over what somebody has made for them to stumble over.
        let decoded = catch_unwind(AssertUnwindSafe(|| decode(bytes)));
        let (mut frames, rate, is_whole) = decoded.unwrap_or(Err(RecordingError::Damaged))?;
        let heard = frames.iter().rposition(|frame| frame.iter().any(|sample| sample.abs() >= QUIET));
        frames.truncate(heard.map_or(0, |last| last + 1));
        if frames.is_empty() {
            return Err(RecordingError::Silent);
        }
        let frames = resample(frames, rate).ok_or(RecordingError::Rate(rate))?;
        Ok(Self { frames, is_whole })
    }

    /// Its length in seconds up to the last sound; none when it is longer than any film.
    #[expect(clippy::cast_precision_loss, reason = "about a minute")]
    pub fn seconds(&self) -> Option<f64> {
        let seconds = self.frames.len() as f64 / f64::from(RATE);
        (self.is_whole && seconds <= LONGEST).then_some(seconds)
    }

    pub(crate) fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// A recording of frames at [`RATE`].
    #[cfg(test)]
    pub(crate) fn of(frames: Vec<Frame>) -> Self {
        Self { frames, is_whole: true }
    }
}

/// A file in memory that is read a few times over at the most: a reader that goes round in circles in it comes to an end.
struct Source<B> {
    bytes: Cursor<B>,
    left: usize,
}

impl<B: AsRef<[u8]>> Source<B> {
    fn new(bytes: B) -> Self {
        let left = bytes.as_ref().len().saturating_mul(4).saturating_add(1 << 20);
        Self { bytes: Cursor::new(bytes), left }
    }
}

impl<B: AsRef<[u8]>> Read for Source<B> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        // Reading at the end counts as well.
        self.left = self.left.checked_sub(read.max(1)).ok_or(io::ErrorKind::InvalidData)?;
        Ok(read)
    }
}

impl<B: AsRef<[u8]>> Seek for Source<B> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::InvalidData)?;
        self.bytes.seek(to)
    }
}

impl<B: AsRef<[u8]> + Send + Sync> MediaSource for Source<B> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        u64::try_from(self.bytes.get_ref().as_ref().len()).ok()
    }
}

/// The frames of a file, their rate, and whether that is all of them.
fn decode(
    bytes: impl AsRef<[u8]> + Send + Sync + 'static,
) -> Result<(Vec<Frame>, u32, bool), RecordingError> {
    let source = MediaSourceStream::new(Box::new(Source::new(bytes)), MediaSourceStreamOptions::default());
    let probe = symphonia::default::get_probe();
    let mut file = probe
        .probe(&Hint::new(), source, FormatOptions::default(), MetadataOptions::default())
        .map_err(|error| match error {
            Error::DecodeError(_) => RecordingError::Damaged,
            _ => RecordingError::Unknown,
        })?;
    let track = file.default_track(TrackType::Audio).ok_or(RecordingError::Silent)?;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or(RecordingError::Unsupported)?;
    let (track, stated) = (track.id, track.num_frames);
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| match error {
            Error::Unsupported(_) => RecordingError::Unsupported,
            _ => RecordingError::Damaged,
        })?;
    let (frames, rate, is_whole) = frames(file.as_mut(), track, decoder.as_mut())?;
    // What has been cut off is not there; what is there is not all of it.
    let missing =
        stated.and_then(|stated| usize::try_from(stated).ok()).unwrap_or(0).saturating_sub(frames.len());
    if is_whole && missing > frames.len() / 10 {
        Err(RecordingError::Damaged)
    } else {
        Ok((frames, rate, is_whole))
    }
}

/// The frames of a track, their rate, and whether the file ends with them.
fn frames(
    file: &mut dyn FormatReader,
    track: u32,
    decoder: &mut dyn AudioDecoder,
) -> Result<(Vec<Frame>, u32, bool), RecordingError> {
    let (mut frames, mut rate) = (Vec::new(), None);
    let (mut good, mut bad) = (0_u32, 0_u32);
    let mut samples: Vec<f32> = Vec::new();
    for _ in 0..PACKETS {
        let packet = match file.next_packet() {
            Ok(Some(packet)) if packet.track_id == track => packet,
            Ok(Some(_)) => continue,
            Err(Error::IoError(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(RecordingError::Damaged);
            }
            // Another song in the same file: what comes before is enough. A file without a stated length just ends.
            Ok(None) | Err(Error::ResetRequired | Error::IoError(_)) => {
                // Cut files begin with a piece that needs what was before it; one in ten is another matter.
                let is_sound = good > 0 && bad <= good / 10 + 1;
                let rate = rate.filter(|_| is_sound).ok_or(RecordingError::Damaged)?;
                return Ok((frames, rate, true));
            }
            Err(_) => return Err(RecordingError::Damaged),
        };
        let decoded = match decoder.decode(&packet) {
            Ok(decoded) => decoded,
            Err(Error::DecodeError(_) | Error::IoError(_)) => {
                bad += 1;
                continue;
            }
            Err(Error::Unsupported(_)) => return Err(RecordingError::Unsupported),
            Err(_) => return Err(RecordingError::Damaged),
        };
        good += 1;
        let spec = decoded.spec();
        let (channels, found) = (spec.channels().count(), spec.rate());
        if !RATES.contains(&found) {
            return Err(RecordingError::Rate(found));
        }
        if *rate.get_or_insert(found) != found {
            return Err(RecordingError::Damaged);
        }
        decoded.copy_to_vec_interleaved(&mut samples);
        if samples.iter().any(|sample| !sample.is_finite()) {
            return Err(RecordingError::Damaged);
        }
        let full_scale = |sample: f32| sample.clamp(-1.0, 1.0);
        match channels {
            1 => frames.extend(samples.iter().map(|sample| [full_scale(*sample); 2])),
            2 => frames.extend(samples.as_chunks::<2>().0.iter().map(|frame| frame.map(full_scale))),
            more => return Err(RecordingError::Channels(more)),
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "about a minute")]
        let enough = (f64::from(found) * (LONGEST + BEYOND)) as usize;
        if frames.len() > enough {
            return Ok((frames, found, false));
        }
    }
    Err(RecordingError::Damaged)
}

/// The same sound at [`RATE`]. None when the rates have nothing in common.
fn resample(frames: Vec<Frame>, rate: u32) -> Option<Vec<Frame>> {
    if rate == RATE {
        return Some(frames);
    }
    let mut resampler = Fft::<f32>::new(rate as usize, RATE as usize, CHUNK, 2, FixedSync::Both).ok()?;
    let given = InterleavedSlice::new(frames.as_flattened(), 2, frames.len()).ok()?;
    let made = resampler.process_all(&given, frames.len(), None).ok()?.take_data();
    Some(made.as_chunks::<2>().0.to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{level, tone, wav};
    use super::*;

    /// 0.6 seconds of 440 Hz, as ffmpeg writes them.
    const FILES: [(&str, &[u8]); 5] = [
        ("MP3", include_bytes!("recordings/tone.mp3")),
        // 24 kHz and mono, without any head: MPEG-2, as OpenAI's speech models answer.
        ("MP3 of a voice", include_bytes!("recordings/speech.mp3")),
        ("M4A", include_bytes!("recordings/tone.m4a")),
        ("AAC", include_bytes!("recordings/tone.aac")),
        ("Ogg", include_bytes!("recordings/tone.ogg")),
    ];

    #[test]
    fn every_kind_of_file_becomes_stereo_at_the_rate_of_films() {
        for (name, file) in FILES {
            let recording = Recording::read(file).unwrap();
            let seconds = recording.seconds().unwrap();
            assert!((0.58..0.66).contains(&seconds), "{name}: {seconds}");
            let middle = &recording.frames()[9_600..19_200];
            let (there, elsewhere) = (level(middle, 440.0), level(middle, 880.0));
            assert!((0.3..0.6).contains(&there) && elsewhere < 0.01, "{name}: {there} {elsewhere}");
            assert!(middle.iter().all(|[left, right]| (left - right).abs() < 0.01), "{name}");
        }
    }

    #[test]
    fn rates_are_converted_and_full_rate_is_kept_as_it_is() {
        let whole = tone(1_000.0, 0.5, 1.0);
        assert!((Recording::of(whole.clone()).seconds().unwrap() - 1.0).abs() < 0.001);
        let kept = Recording::read(wav(&whole, RATE)).unwrap();
        assert!(kept.frames().iter().zip(&whole).all(|(a, b)| (a[0] - b[0]).abs() < 1e-4));
        // What is said to have another rate lasts as long as that says, and sounds as high.
        for rate in [8_000, 22_050, 44_100, 96_000] {
            let recording = Recording::read(wav(&whole, rate)).unwrap();
            let ratio = f64::from(RATE) / f64::from(rate);
            assert!((recording.seconds().unwrap() - ratio).abs() < 0.01, "{rate}");
            #[expect(clippy::cast_possible_truncation, reason = "a frequency")]
            let hz = 1_000.0 / ratio as f32;
            let middle = recording.frames().len() / 4..recording.frames().len() / 4 + 4_800;
            let found = level(&recording.frames()[middle], hz);
            assert!((found - 0.5).abs() < 0.02, "{rate}: {found}");
        }
    }

    #[test]
    fn silence_at_the_end_is_not_counted_and_nothing_but_silence_is_refused() {
        let mut frames = tone(500.0, 0.5, 0.5);
        frames.resize(RATE as usize * 3, [0.0; 2]);
        let seconds = Recording::read(wav(&frames, RATE)).unwrap().seconds().unwrap();
        assert!((seconds - 0.5).abs() < 0.01, "{seconds}");
        let silence = vec![[0.000_5; 2]; 48_000];
        assert_eq!(Recording::read(wav(&silence, RATE)), Err(RecordingError::Silent));
        assert_eq!(Recording::read(wav(&[], RATE)), Err(RecordingError::Damaged));
    }

    #[test]
    fn what_is_longer_than_any_film_is_read_no_further_and_has_no_length() {
        let long = Recording::read(wav(&tone(300.0, 0.5, 20.0), 8_000)).unwrap();
        assert_eq!(long.seconds(), None);
        assert!(long.frames().len() < RATE as usize * 63);
        let fits = Recording::read(wav(&tone(300.0, 0.5, 9.9), 8_000)).unwrap();
        assert!((fits.seconds().unwrap() - 59.4).abs() < 0.1);
    }

    #[test]
    fn what_is_no_recording_is_refused_in_a_sentence() {
        let picture = include_bytes!("../looks.jpg");
        assert_eq!(Recording::read(picture), Err(RecordingError::Unknown));
        assert_eq!(Recording::read(b"no recording at all".repeat(1_000)), Err(RecordingError::Unknown));
        assert_eq!(Recording::read([]), Err(RecordingError::Unknown));
        assert!(RecordingError::Channels(6).to_string().starts_with("it has 6 channels"));
        let slow = wav(&tone(300.0, 0.5, 0.1), 4_000);
        assert_eq!(Recording::read(slow), Err(RecordingError::Rate(4_000)));
        let mut surround = wav(&tone(300.0, 0.5, 0.3), RATE);
        surround[22] = 6;
        surround[32] = 12;
        assert_eq!(Recording::read(surround), Err(RecordingError::Channels(6)));
    }

    #[test]
    fn damaged_files_are_refused_or_played_and_never_panic() {
        let mut noise = 1_u32;
        for (name, file) in FILES {
            for cut in 0..file.len() {
                if cut % 37 == 0 {
                    let _ = Recording::read(file[..cut].to_vec());
                }
            }
            for _ in 0..300 {
                let mut broken = file.to_vec();
                for _ in 0..8 {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let place = noise as usize % broken.len();
                    broken[place] = noise.to_be_bytes()[0];
                }
                let read = std::panic::catch_unwind(|| decode(broken));
                assert!(read.is_ok(), "{name}: a decoder panics");
            }
            // Two thirds of its sound are another's. Some files say how long they are.
            let mut scrambled = file.to_vec();
            let rest = scrambled.len() / 3..;
            scrambled[rest].fill(0x5A);
            match Recording::read(scrambled) {
                // The index of an M4A is at its end.
                Err(RecordingError::Unknown) => assert_eq!(name, "M4A"),
                Err(error) => assert_eq!(error, RecordingError::Damaged, "{name}"),
                Ok(read) => assert!(matches!(name, "AAC" | "Ogg") && read.seconds() < Some(0.3), "{name}"),
            }
        }
    }
}
