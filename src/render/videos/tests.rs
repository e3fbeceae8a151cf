//! Tests of whole films, decoded back with ffmpeg.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the numbers of tests are small"
)]

use std::ops::ControlFlow;
use std::process::Command;

use super::recording::{Frame, RATE};
use super::*;
use crate::visuals::{Color, Template, VisualFormat, VisualSpec};

/// Whether ffmpeg is there. Without it the tests that decode say so and stop, except where `AICOS_REQUIRE_FFMPEG` is set: there
/// they fail.
pub(super) fn decoder() -> bool {
    let there = ["ffmpeg", "ffprobe"].iter().all(|tool| Command::new(tool).arg("-version").output().is_ok());
    if !there {
        assert!(
            std::env::var_os("AICOS_REQUIRE_FFMPEG").is_none(),
            "ffmpeg and ffprobe are needed: apt-get install ffmpeg"
        );
        eprintln!("SKIPPED: ffmpeg and ffprobe are not installed, the film is not decoded");
    }
    there
}

/// A film in a file of its own, removed at the end.
pub(super) struct File(std::path::PathBuf);

impl File {
    pub(super) fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("video-test-{}-{name}.mp4", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// What ffprobe says of a stream, after decoding all of it.
    pub(super) fn probe(&self, stream: &str, entry: &str) -> String {
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-count_frames", "-select_streams", stream, "-show_entries"])
            .args([&format!("stream={entry}"), "-of", "default=nokey=1:noprint_wrappers=1"])
            .arg(&self.0)
            .output()
            .unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The RGB pixels of the frame at a time.
    pub(super) fn frame(&self, seconds: f64) -> Vec<u8> {
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&self.0)
            .args(["-ss", &seconds.to_string(), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
            .output()
            .unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn sound(&self) -> Vec<u8> {
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&self.0)
            .args(["-vn", "-f", "s16le", "-"])
            .output()
            .unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A tone of a frequency and amplitude at the rate of films.
pub(super) fn tone(hz: f32, amplitude: f32, seconds: f32) -> Vec<Frame> {
    let sample = |at: usize| amplitude * (std::f32::consts::TAU * hz * (at as f32 / RATE as f32)).sin();
    (0..(seconds * RATE as f32).round() as usize).map(|at| [sample(at); 2]).collect()
}

/// How much of a frequency is in it: its amplitude on the left (Goertzel).
pub(super) fn level(frames: &[Frame], hz: f32) -> f32 {
    let angle = std::f64::consts::TAU * f64::from(hz) / f64::from(RATE);
    let (mut last, mut before) = (0.0, 0.0);
    for frame in frames {
        (last, before) = (f64::from(frame[0]) + 2.0 * angle.cos() * last - before, last);
    }
    let power = last * last + before * before - 2.0 * angle.cos() * last * before;
    (2.0 * power.max(0.0).sqrt() / frames.len() as f64) as f32
}

/// A WAV file of 16 bits in stereo that says that it has so many samples a second.
pub(super) fn wav(frames: &[Frame], rate: u32) -> Vec<u8> {
    let bytes = frames.len() as u32 * 4;
    let mut file = [&b"RIFF"[..], &(bytes + 36).to_le_bytes(), b"WAVEfmt ", &16_u32.to_le_bytes()].concat();
    file.extend([1_u16, 2].iter().flat_map(|word| word.to_le_bytes()));
    file.extend([rate, rate * 4].iter().flat_map(|word| word.to_le_bytes()));
    file.extend([4_u16, 16].iter().flat_map(|word| word.to_le_bytes()));
    file.extend([&b"data"[..], &bytes.to_le_bytes()].concat());
    file.extend(
        frames.iter().flatten().flat_map(|sample| ((sample * 32_767.0).round() as i16).to_le_bytes()),
    );
    file
}

fn plain(color: Color, width: u32, height: u32) -> Picture {
    let rgba = [color.r, color.g, color.b, 255].repeat((width * height) as usize);
    Picture::new(width, height, rgba).unwrap()
}

/// A picture with a red left and a blue right half, a white cross in the middle and grey below.
fn marked() -> Picture {
    let (width, height) = (360, 640);
    let rgba = (0..height)
        .flat_map(|y: i32| {
            (0..width).flat_map(move |x: i32| match () {
                () if (x - width / 2).abs() < 12 || (y - height / 2).abs() < 12 => [255, 255, 255, 255],
                () if y > height * 3 / 4 => [128, 128, 128, 255],
                () if x < width / 2 => [200, 30, 30, 255],
                () => [30, 30, 200, 255],
            })
        })
        .collect();
    Picture::new(width as u32, height as u32, rgba).unwrap()
}

fn scene(text: Option<&str>, picture: Option<usize>) -> SceneSpec {
    SceneSpec { text: text.map(str::to_owned), picture, ..SceneSpec::default() }
}

pub(super) fn tiny(kind: VideoKind, scenes: Vec<SceneSpec>) -> VideoSpec {
    VideoSpec { kind, scenes, size: VideoSize::Tiny, duration_seconds: Some(3.0), ..VideoSpec::default() }
}

fn make(spec: &VideoSpec, pictures: &[Picture]) -> Video {
    generate(spec, pictures, &[], &Sound::default(), |_| ControlFlow::Continue(())).unwrap()
}

/// The boxes at the top of an MP4 in order.
fn boxes(bytes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = 0;
    while at + 8 <= bytes.len() {
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        names.push(String::from_utf8_lossy(&bytes[at + 4..at + 8]).into_owned());
        assert!(size >= 8);
        at += size;
    }
    assert_eq!(at, bytes.len());
    names
}

#[test]
fn a_slideshow_decodes_to_what_was_planned() {
    let pictures = [plain(Color::new(200, 30, 40), 300, 600), plain(Color::new(20, 60, 200), 600, 300)];
    let spec = VideoSpec {
        captions: false,
        ..tiny(VideoKind::Slideshow, vec![scene(None, Some(0)), scene(None, Some(1))])
    };
    let video = make(&spec, &pictures);
    let boxes = boxes(&video.mp4);
    let place = |name: &str| boxes.iter().position(|found| found == name).unwrap();
    assert!(place("ftyp") == 0 && place("moov") < place("mdat"), "{boxes:?}");
    assert_eq!((video.frames, video.duration_seconds), (90, 3.0));
    if !decoder() {
        return;
    }
    let file = File::new("slideshow", &video.mp4);
    assert_eq!(file.probe("v", "codec_name"), "h264");
    assert_eq!(file.probe("v", "profile"), "High");
    assert_eq!(file.probe("v", "width,height"), "180\n320");
    assert_eq!(file.probe("v", "pix_fmt,color_space"), "yuv420p\nbt709");
    assert_eq!(file.probe("v", "r_frame_rate"), "30/1");
    assert_eq!(file.probe("v", "nb_read_frames"), "90");
    assert!((file.probe("v", "duration").parse::<f64>().unwrap() - 3.0).abs() < 0.02);
    let middle = |seconds: f64| file.frame(seconds)[(160 * 180 + 90) * 3..][..3].to_vec();
    let near = |pixel: Vec<u8>, color: [u8; 3]| {
        assert!(pixel.iter().zip(color).all(|(a, b)| a.abs_diff(b) < 10), "{pixel:?} {color:?}");
    };
    near(middle(0.5), [200, 30, 40]);
    near(middle(1.45), [200, 30, 40]);
    near(middle(2.5), [20, 60, 200]);
    // In the middle of the change, which begins at one and a half seconds and takes half a second.
    let mixed = middle(1.75);
    assert!((60..170).contains(&mixed[0]) && (70..180).contains(&mixed[2]), "{mixed:?}");
}

#[test]
fn the_sound_track_is_silence_of_the_same_length() {
    let spec = tiny(VideoKind::Slideshow, vec![scene(None, Some(0))]);
    let pictures = [plain(Color::BLACK, 90, 160)];
    let without = make(&VideoSpec { silent_track: false, ..spec.clone() }, &pictures);
    let with = make(&spec, &pictures);
    assert!(with.mp4.len() > without.mp4.len());
    if !decoder() {
        return;
    }
    let file = File::new("silence", &with.mp4);
    assert_eq!(file.probe("a", "codec_name,profile,sample_rate,channels"), "aac\nLC\n44100\n1");
    let sound = file.sound();
    let seconds = sound.len() as f64 / 2.0 / 44_100.0;
    assert!((2.9..=3.0).contains(&seconds), "{seconds}");
    assert!(sound.iter().all(|byte| *byte == 0));
    assert_eq!(File::new("silent", &without.mp4).probe("a", "codec_name"), "");
}

#[test]
fn a_voice_and_music_are_heard_with_the_pictures() {
    let spec = tiny(VideoKind::Slideshow, vec![scene(None, Some(0))]);
    let pictures = [plain(Color::BLACK, 90, 160)];
    let film = |sound: &Sound| generate(&spec, &pictures, &[], sound, |_| ControlFlow::Continue(()));
    // The voice begins with the film: its first sample is its loudest.
    let spoken = tone(440.0, 0.5, 1.0);
    let sound = Sound {
        voice_over: Some(Recording::of(spoken.clone())),
        music: Some(Recording::of(tone(1_500.0, 0.3, 0.5))),
        ..Sound::default()
    };
    let video = film(&sound).unwrap();
    assert_eq!(video, film(&sound).unwrap(), "the same every time");
    assert!(boxes(&video.mp4).starts_with(&["ftyp".to_owned(), "moov".to_owned()]));
    let alone = film(&Sound { music: None, ..sound }).unwrap();
    assert!(alone.mp4 != video.mp4);
    if !decoder() {
        return;
    }
    let file = File::new("sound", &video.mp4);
    assert_eq!(file.probe("a", "codec_name,profile,sample_rate,channels"), "aac\nLC\n48000\n2");
    assert_eq!(file.probe("v", "nb_read_frames"), "90");
    for stream in ["v", "a"] {
        let [start, length] =
            ["start_time", "duration"].map(|entry| file.probe(stream, entry).parse::<f64>().unwrap());
        assert!(start.abs() < 1e-6 && (length - 3.0).abs() < 0.001, "{stream}: {start} {length}");
    }
    let frames = heard(&file);
    // As long as the pictures, up to the end of a frame of AAC.
    let length = RATE as usize * 3;
    assert!((length..length + 1_024).contains(&frames.len()), "{}", frames.len());
    let at = |seconds: f32, hz: f32| level(&frames[(seconds * RATE as f32) as usize..][..4_800], hz);
    assert!((at(0.4, 440.0) - 0.5).abs() < 0.01 && at(1.6, 440.0) < 0.01);
    let (under, after) = (at(0.4, 1_500.0), at(2.05, 1_500.0));
    assert!(under > 0.03 && under * 4.0 < after, "{under} {after}");
    assert!(at(2.89, 1_500.0) < 0.05);
    // Sample for sample where it was: what the encoder put before it is left out.
    let frames = heard(&File::new("voice", &alone.mp4));
    let error = frames.iter().zip(&spoken).map(|(a, b)| (a[0] - b[0]).abs()).fold(0.0, f32::max);
    assert!(error < 0.05, "{error}");
}

/// The frames of a film's sound.
fn heard(file: &File) -> Vec<Frame> {
    let sample = |bytes: &[u8; 2]| f32::from(i16::from_le_bytes(*bytes)) / 32_768.0;
    let sound = file.sound();
    sound.as_chunks::<4>().0.iter().map(|b| [sample(&[b[0], b[1]]), sample(&[b[2], b[3]])]).collect()
}

#[test]
fn each_scene_is_spoken_while_it_is_shown() {
    let scenes = vec![scene(Some("Eins."), None), scene(None, None), scene(Some("Zwei und drei."), None)];
    let spec = VideoSpec { duration_seconds: None, ..tiny(VideoKind::Slideshow, scenes) };
    let spoken = |hz, seconds| Some(Recording::of(tone(hz, 0.5, seconds)));
    let narration = vec![spoken(440.0, 1.5), None, spoken(880.0, 4.0)];
    let sound = Sound { narration, ..Sound::default() };
    let video = generate(&spec, &[], &[], &sound, |_| ControlFlow::Continue(())).unwrap();
    // What is said decides, where it takes longer than reading: 0.3 + 1.5 + 0.4, a silent scene, 0.3 + 4 + 0.4.
    let ends = video.scenes.iter().map(|scene| (scene.end_seconds * 10.0).round()).collect::<Vec<_>>();
    assert_eq!(ends, [22.0, 52.0, 99.0]);
    let last = video.cues.last().unwrap();
    assert!(last.start_seconds < 5.6 && last.end_seconds > 9.5, "{last:?}");
    if !decoder() {
        return;
    }
    let frames = heard(&File::new("narration", &video.mp4));
    let at = |seconds: f32, hz: f32| level(&frames[(seconds * RATE as f32) as usize..][..4_800], hz);
    for (seconds, hz, is_heard) in [
        (0.1, 440.0, false),
        (0.4, 440.0, true),
        (1.6, 440.0, true),
        (2.0, 440.0, false),
        (4.0, 880.0, false),
        (5.3, 880.0, false),
        (5.6, 880.0, true),
        (9.3, 880.0, true),
        (9.7, 880.0, false),
    ] {
        let level = at(seconds, hz);
        assert!(if is_heard { (level - 0.5).abs() < 0.02 } else { level < 0.02 }, "{seconds} {hz}: {level}");
    }
}

#[test]
fn a_voice_is_never_cut() {
    let spec = tiny(VideoKind::Slideshow, vec![scene(None, None)]);
    let film = |seconds: f32| {
        let voice_over = Some(Recording::of(tone(200.0, 0.5, seconds)));
        generate(&spec, &[], &[], &Sound { voice_over, ..Sound::default() }, |_| ControlFlow::Continue(()))
    };
    let Err(VideoError::Invalid { field: "voiceOverAssetId", reason }) = film(4.25) else {
        panic!("it is longer than the film");
    };
    assert!(
        reason.starts_with("the recording lasts 4.25 seconds and the film 3: set `durationSeconds` to 5 "),
        "{reason}"
    );
    let Err(VideoError::Invalid { reason, .. }) = film(60.5) else { panic!("it is longer than any film") };
    assert!(
        reason.contains("longest film, which has 60 seconds") && !reason.contains("durationSeconds"),
        "{reason}"
    );
    assert!(film(3.0).is_ok() && film(3.004).is_ok() && film(3.01).is_err());
}

#[test]
fn captions_are_drawn_and_timed_as_the_files_say() {
    let text = "Erster Satz hier. Zweiter Satz folgt.";
    let spec = tiny(VideoKind::Slideshow, vec![scene(Some(text), None)]);
    let video = make(&spec, &[]);
    assert_eq!(video.cues.len(), 2);
    assert_eq!(video.srt.matches(" --> ").count(), 2);
    assert!(video.vtt.contains("\nErster Satz hier.\n") && video.srt.contains("\nZweiter Satz folgt.\n"));
    let first = &video.cues[0];
    let line = video.srt.lines().nth(1).unwrap();
    let expected = |seconds: f64| format!("00:00:{seconds:06.3}").replace('.', ",");
    assert_eq!(line, format!("{} --> {}", expected(first.start_seconds), expected(first.end_seconds)));
    assert!(video.caption_contrast.unwrap() >= 3.0);
    if !decoder() {
        return;
    }
    let file = File::new("captions", &video.mp4);
    let white = |seconds: f64| file.frame(seconds).chunks(3).filter(|p| p.iter().all(|v| *v > 215)).count();
    for cue in &video.cues {
        assert!(white(cue.start_seconds + (cue.end_seconds - cue.start_seconds) * 0.6) > 150, "{cue:?}");
    }
    let gap = first.end_seconds + 1.0 / 60.0;
    assert!(white(gap) < 20, "nothing is left between the cues: {}", white(gap));
    assert!(white(0.0) < 20);
    // Words come one after the other; a line comes at once, and as large.
    let lines = make(&VideoSpec { caption_style: CaptionStyle::Lines, ..spec.clone() }, &[]);
    let line = File::new("lines", &lines.mp4);
    let (early, late) = (first.start_seconds + 0.3, first.start_seconds + 0.8);
    let share = |file: &File| {
        let white =
            |seconds| file.frame(seconds).chunks(3).filter(|p| p.iter().all(|v| *v > 215)).count() as f64;
        white(early) / white(late)
    };
    assert!(share(&file) < 0.7, "{}", share(&file));
    assert!(share(&line) > 0.9, "{}", share(&line));
    // Without captions the words are in the files only.
    let bare = make(&VideoSpec { captions: false, ..spec }, &[]);
    assert_eq!((bare.srt.clone(), bare.caption_contrast), (video.srt.clone(), None));
    let file = File::new("bare", &bare.mp4);
    assert!(file.frame(1.0).chunks(3).all(|pixel| pixel.iter().any(|value| *value < 200)));
}

#[test]
fn every_kind_makes_a_whole_film_that_moves_as_it_should() {
    let pictures = [marked(), plain(Color::new(240, 240, 235), 360, 640)];
    for kind in [
        VideoKind::Slideshow,
        VideoKind::KenBurns,
        VideoKind::Transition,
        VideoKind::ZoomIn,
        VideoKind::ZoomOut,
        VideoKind::Parallax,
    ] {
        let scenes = vec![
            scene(Some("Ein Satz mit Bild."), Some(0)),
            scene(Some("Noch einer."), Some(1)),
            scene(Some("Ohne Bild."), None),
        ];
        let spec = tiny(kind, scenes);
        let video = make(&spec, &pictures);
        assert!(video.caption_contrast.unwrap() >= 3.0, "{kind:?} {:?}", video.caption_contrast);
        assert_eq!(video.scenes.len(), 3);
        assert!(video.poster.starts_with(&[0xFF, 0xD8, 0xFF]));
        if !decoder() {
            continue;
        }
        let file = File::new(&format!("{kind:?}"), &video.mp4);
        assert_eq!(file.probe("v", "nb_read_frames"), "90", "{kind:?}");
        let (early, late) = (file.frame(0.0), file.frame(0.9));
        let upper = |frame: &[u8]| frame[..60 * 180 * 3].to_vec();
        let moved = upper(&early).iter().zip(upper(&late)).filter(|(a, b)| a.abs_diff(*b) > 40).count();
        let still = matches!(kind, VideoKind::Slideshow | VideoKind::Transition);
        assert_eq!(moved < 60, still, "{kind:?}: {moved}");
    }
}

#[test]
fn a_zoom_enlarges_what_is_in_the_middle() {
    if !decoder() {
        return;
    }
    let spec = VideoSpec { captions: false, ..tiny(VideoKind::ZoomIn, vec![scene(None, Some(0))]) };
    let video = make(&spec, &[marked()]);
    let file = File::new("zoom", &video.mp4);
    // The upright bar of the cross, 24 of 360 pixels wide, in the row at a quarter of the height.
    let bar = |seconds: f64| {
        file.frame(seconds)[80 * 180 * 3..81 * 180 * 3]
            .chunks(3)
            .filter(|p| p.iter().all(|v| *v > 150))
            .count()
    };
    let (first, last) = (bar(0.0), bar(2.96));
    assert!((11..=13).contains(&first) && (16..=19).contains(&last), "{first} {last}");
}

#[test]
fn a_slide_with_text_is_shown_whole() {
    let spec = VisualSpec {
        body: Some("Steht schon da.".to_owned()),
        format: VisualFormat::Post,
        template: Template::Minimal,
        ..VisualSpec::default()
    };
    let (slide, _) =
        crate::visuals::compose(&spec, &crate::visuals::Pictures::default()).unwrap().slides.remove(0);
    let slide = crate::visuals::render(&slide, &crate::visuals::Pictures::default()).unwrap().picture;
    let scenes = vec![SceneSpec { text_in_picture: true, ..scene(Some("Steht schon da."), Some(0)) }];
    let video = make(&tiny(VideoKind::KenBurns, scenes), &[slide]);
    assert_eq!(video.caption_contrast, None, "the text is not drawn twice");
    assert_eq!(video.cues.len(), 1, "but it is in the files");
    assert!(video.notes.is_empty(), "{:?}", video.notes);
}

#[test]
fn progress_is_told_and_work_ends_when_it_should() {
    let spec = tiny(VideoKind::Slideshow, vec![scene(None, None)]);
    let mut told = Vec::new();
    let stopped = generate(&spec, &[], &[], &Sound::default(), |progress| {
        told.push(progress.done);
        assert_eq!(progress.frames, 90);
        if progress.done == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(stopped.unwrap_err(), VideoError::Cancelled);
    assert_eq!(told, [1, 2, 3, 4, 5]);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let spec =
        tiny(VideoKind::Parallax, vec![scene(Some("Gleich bleibt gleich."), None), scene(None, Some(0))]);
    let (a, b) = (make(&spec, &[marked()]), make(&spec, &[marked()]));
    assert!(a == b);
    let other = make(&VideoSpec { seed: 1, ..spec }, &[marked()]);
    assert!(a.mp4 != other.mp4);
}

#[test]
fn what_is_wrong_is_refused() {
    let wrong = generate(
        &tiny(VideoKind::Slideshow, vec![scene(None, Some(3))]),
        &[],
        &[],
        &Sound::default(),
        |_| ControlFlow::Continue(()),
    );
    assert!(matches!(wrong, Err(VideoError::Invalid { field: "scenes", .. })));
}

#[test]
fn nasty_texts_do_no_harm() {
    let nasty = [
        "\0\u{1}\u{7F}",
        "\u{202E}umgekehrt",
        "שלום עולם وسلام",
        "e\u{301}\u{301}\u{301}",
        "👩‍👩‍👧‍👦🏳️‍🌈🇩🇪",
        "a\n\n\nb",
        "\u{200B}",
        "----> -->",
        "<b>&amp;</b>",
    ];
    let scenes = nasty
        .iter()
        .map(|text| scene(Some(text), None))
        .chain([scene(Some(&"ß".repeat(SCENE_TEXT)), None)])
        .collect();
    let spec = VideoSpec { duration_seconds: Some(10.0), fps: 24, ..tiny(VideoKind::Transition, scenes) };
    let video = make(&spec, &[]);
    assert_eq!(video.frames, 240);
    assert!(!video.srt.contains('\0'));
    assert_eq!(video.srt.matches(" --> ").count(), video.cues.len());
}
