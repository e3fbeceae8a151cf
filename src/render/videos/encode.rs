//! Frames to a film: colour conversion, H.264 (`OpenH264`) and MP4 (`muxide`).

use muxide::api::{AacProfile, AudioCodec, Muxer, MuxerBuilder, VideoCodec};
use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, Profile, QpRange,
    RateControlMode, UsageType, VuiConfig,
};
use openh264::formats::YUVSlices;
use syom::EncodeOptions;

use super::recording::{Frame, RATE};
use super::{VideoError, mp4};

/// A film that grows frame by frame. Only encoded bytes are kept, until the index in front of them can be written.
pub(crate) struct Film {
    encoder: Encoder,
    muxer: Muxer<Vec<u8>>,
    width: usize,
    height: usize,
    fps: u32,
    frames: u32,
    sound: Sound,
    yuv: Vec<u8>,
}

/// What is heard.
pub(crate) enum Sound {
    /// Nothing: there is no sound track.
    None,
    /// Silence, in a track that some players ask for.
    Silence,
    /// Frames of AAC-LC in stereo at [`RATE`], each under an ADTS header. The first is the encoder's own and stands before
    /// the film.
    Frames(Vec<Vec<u8>>),
}

/// Samples of a frame of AAC.
const AAC_FRAME: u32 = 1_024;
/// Bits of a second of sound: what reels are sent with, and a little more.
const SOUND_BITS: u32 = 160_000;
/// Samples a second of the silent track.
const SAMPLE_RATE: u32 = 44_100;
/// A frame of silence in AAC-LC, mono, under an ADTS header (ISO/IEC 14496-3).
///
/// The header: sync word, no CRC, LC, 44.1 kHz (index 4), one channel, 11 bytes. The block: a single channel element
/// (000) with tag 0000, gain 0, long window, no scale factor bands (six zero bits), no pulse, noise shaping or gain
/// control, then the end element (111): 29 zero bits and three ones.
const SILENCE: [u8; 11] = [0xFF, 0xF1, 0x50, 0x40, 0x01, 0x7F, 0xFC, 0x00, 0x00, 0x00, 0x07];

fn failed(error: impl std::fmt::Display) -> VideoError {
    VideoError::Encoder(error.to_string())
}

impl Film {
    pub(crate) fn new(width: u32, height: u32, fps: u32, sound: Sound) -> Result<Self, VideoError> {
        // About six megabits a second at 1080×1920: what a reel is sent with.
        let bits = u32::try_from(u64::from(width) * u64::from(height) * 3)
            .unwrap_or(u32::MAX)
            .clamp(1_000_000, 12_000_000);
        #[expect(clippy::cast_precision_loss, reason = "at most 60")]
        let rate = FrameRate::from_hz(fps as f32);
        let config = EncoderConfig::new()
            .bitrate(BitRate::from_bps(bits))
            .max_frame_rate(rate)
            // A frame left out would move everything after it.
            .skip_frames(false)
            .rate_control_mode(RateControlMode::Quality)
            .usage_type(UsageType::CameraVideoRealTime)
            .complexity(Complexity::Medium)
            .profile(Profile::High)
            .qp(QpRange::new(16, 36))
            .intra_frame_period(IntraFramePeriod::from_num_frames(fps * 2))
            .scene_change_detect(false)
            // More threads would make the bytes depend on the machine.
            .num_threads(1)
            .vui(VuiConfig::bt709());
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config).map_err(failed)?;
        let mut builder = MuxerBuilder::new(Vec::new())
            .video(VideoCodec::H264, width, height, f64::from(fps))
            .with_fast_start(true);
        let track = match sound {
            Sound::None => None,
            Sound::Silence => Some((SAMPLE_RATE, 1)),
            Sound::Frames(_) => Some((RATE, 2)),
        };
        if let Some((rate, channels)) = track {
            builder = builder.audio(AudioCodec::Aac(AacProfile::Lc), rate, channels);
        }
        let muxer = builder.build().map_err(failed)?;
        let (width, height) = (width as usize, height as usize);
        Ok(Self {
            encoder,
            muxer,
            width,
            height,
            fps,
            frames: 0,
            sound,
            yuv: vec![0; width * height * 3 / 2],
        })
    }

    /// Adds a frame of RGBA pixels.
    pub(crate) fn push(&mut self, rgba: &[u8], key: bool) -> Result<(), VideoError> {
        to_yuv(rgba, self.width, self.height, &mut self.yuv);
        let (y, chroma) = self.yuv.split_at(self.width * self.height);
        let (u, v) = chroma.split_at(chroma.len() / 2);
        let source = YUVSlices::new(
            (y, u, v),
            (self.width, self.height),
            (self.width, self.width / 2, self.width / 2),
        );
        if key && self.frames > 0 {
            self.encoder.force_intra_frame();
        }
        let stream = self.encoder.encode(&source).map_err(failed)?;
        let is_key = matches!(stream.frame_type(), FrameType::IDR);
        let bytes = stream.to_vec();
        if bytes.is_empty() {
            return Err(VideoError::Encoder("the encoder left a frame out".to_owned()));
        }
        let at = f64::from(self.frames) / f64::from(self.fps);
        self.muxer.write_video(at, &bytes, is_key).map_err(failed)?;
        self.frames += 1;
        Ok(())
    }

    /// The MP4, with its index first.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, VideoError> {
        match &self.sound {
            Sound::None => {}
            Sound::Silence => silence(&mut self.muxer, f64::from(self.frames) / f64::from(self.fps))?,
            Sound::Frames(frames) => {
                for (at, frame) in (0_u32..).zip(frames) {
                    let seconds = f64::from(at) * f64::from(AAC_FRAME) / f64::from(RATE);
                    self.muxer.write_audio(seconds, frame).map_err(failed)?;
                }
            }
        }
        self.muxer.finish_in_place().map_err(failed)?;
        let mut film = self.muxer.into_writer();
        if matches!(self.sound, Sound::Frames(_)) {
            let length = self.frames * 1_000 / self.fps;
            mp4::begin_sound_after(&mut film, AAC_FRAME, RATE, length)
                .ok_or_else(|| failed("its index is none that is known"))?;
        }
        Ok(film)
    }
}

/// Encodes stereo sound at [`RATE`].
pub(crate) fn sound(frames: &[Frame]) -> Result<Sound, VideoError> {
    let options = EncodeOptions::adts().with_bitrate_bps(SOUND_BITS);
    let mut encoder = syom::Encoder::new(RATE, 2, &options).map_err(failed)?;
    let mut encoded = Vec::new();
    let side = |side: usize| frames.iter().map(|frame| frame[side]).collect::<Vec<_>>();
    let (left, right) = (side(0), side(1));
    let mut keep = |frame: syom::EncodedFrame<'_>| {
        encoded.push(frame.au.to_vec());
        Ok(())
    };
    encoder.feed(&[&left, &right], &mut keep).map_err(failed)?;
    encoder.finish(&mut keep).map_err(failed)?;
    Ok(Sound::Frames(encoded))
}

/// As many frames of silence as fit into the film.
fn silence<W: std::io::Write>(muxer: &mut Muxer<W>, seconds: f64) -> Result<(), VideoError> {
    let step = f64::from(AAC_FRAME) / f64::from(SAMPLE_RATE);
    let mut at = 0_u32;
    while f64::from(at + 1) * step <= seconds {
        muxer.write_audio(f64::from(at) * step, &SILENCE).map_err(failed)?;
        at += 1;
    }
    Ok(())
}

/// Converts RGBA to planar 4:2:0 as BT.709 defines it, in limited range, with each colour the mean of four pixels.
fn to_yuv(rgba: &[u8], width: usize, height: usize, yuv: &mut [u8]) {
    let (luma, chroma) = yuv.split_at_mut(width * height);
    let (blue, red) = chroma.split_at_mut(width * height / 4);
    let rows = rgba.chunks_exact(width * 8).zip(luma.chunks_exact_mut(width * 2));
    let planes = blue.chunks_exact_mut(width / 2).zip(red.chunks_exact_mut(width / 2));
    for ((pixels, luma), (blue, red)) in rows.zip(planes) {
        let (upper, lower) = pixels.split_at(width * 4);
        let (luma_upper, luma_lower) = luma.split_at_mut(width);
        for (pixels, luma) in [(upper, luma_upper), (lower, luma_lower)] {
            for (pixel, y) in pixels.as_chunks::<4>().0.iter().zip(luma) {
                let [r, g, b] = [i32::from(pixel[0]), i32::from(pixel[1]), i32::from(pixel[2])];
                *y = narrow((5_983 * r + 20_127 * g + 2_032 * b + (1 << 14)) >> 15, 16);
            }
        }
        let pairs = upper.as_chunks::<8>().0.iter().zip(lower.as_chunks::<8>().0);
        for ((a, b), (u, v)) in pairs.zip(blue.iter_mut().zip(red)) {
            let sum = |channel: usize| {
                let at = |row: &[u8; 8]| i32::from(row[channel]) + i32::from(row[channel + 4]);
                at(a) + at(b)
            };
            let (r, g, bl) = (sum(0), sum(1), sum(2));
            *u = narrow((-3_298 * r - 11_094 * g + 14_392 * bl + (1 << 16)) >> 17, 128);
            *v = narrow((14_392 * r - 13_073 * g - 1_320 * bl + (1 << 16)) >> 17, 128);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the coefficients keep it within a byte"
)]
fn narrow(value: i32, offset: i32) -> u8 {
    (value + offset) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_bt709() {
        let cases = [
            ([0, 0, 0], [16, 128, 128]),
            ([255, 255, 255], [235, 128, 128]),
            ([255, 0, 0], [63, 102, 240]),
            ([0, 255, 0], [173, 42, 26]),
            ([0, 0, 255], [32, 240, 118]),
        ];
        for ([r, g, b], expected) in cases {
            let mut yuv = vec![0; 4 * 4 * 3 / 2];
            to_yuv(&[r, g, b, 255].repeat(16), 4, 4, &mut yuv);
            assert_eq!([yuv[0], yuv[16], yuv[20]].map(i32::from), expected, "{r} {g} {b}");
        }
    }
}
