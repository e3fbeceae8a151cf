//! Tests of clips: made by ffmpeg, shown, and compared with what ffmpeg shows.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the numbers of tests are small"
)]

use std::io::{self, PipeReader, PipeWriter, Read, Write as _};
use std::ops::ControlFlow;
use std::process::Command;
use std::thread;

use super::super::tests::{File, decoder, tiny};
use super::super::{SceneSpec, Sound, Video, VideoError, VideoKind, VideoNote, VideoSpec, generate};
use super::player::Player;
use super::*;

/// Projectors that are threads.
struct Threads;

/// One of them, by the ends of its pipes.
struct Thread(PipeWriter, PipeReader);

impl Projectors for Threads {
    fn start(&self) -> io::Result<Box<dyn Projector>> {
        let (mut asked, asking) = io::pipe()?;
        let (heard, mut saying) = io::pipe()?;
        // It ends when nobody hears it any more.
        thread::spawn(move || read_clip(&mut asked, &mut saying));
        Ok(Box::new(Thread(asking, heard)))
    }
}

impl Projector for Thread {
    fn ask(&mut self, question: &[&[u8]]) -> io::Result<&mut dyn Read> {
        question.iter().try_for_each(|piece| self.0.write_all(piece))?;
        Ok(&mut self.1)
    }
}

/// Has a file read.
pub(super) fn read(file: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Footage> {
    Footage::read(file, Arc::new(Threads))
}

/// What ffmpeg makes with some arguments.
fn made(name: &str, arguments: &[&str]) -> Vec<u8> {
    let path = std::env::temp_dir().join(format!("footage-test-{}-{name}", std::process::id()));
    let output =
        Command::new("ffmpeg").args(["-v", "error", "-y"]).args(arguments).arg(&path).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let bytes = std::fs::read(&path).unwrap();
    let _ = std::fs::remove_file(&path);
    bytes
}

/// Numbered frames: each two brighter than the one before, so many a second; the first is 20.
fn numbered(name: &str, rate: u32, seconds: u32, more: &[&str]) -> Vec<u8> {
    let source =
        format!("nullsrc=s=64x48:r={rate}:d={seconds},geq=lum='20+2*N':cb=128:cr=128,format=yuv420p");
    let from = ["-f", "lavfi", "-i", &source, "-c:v", "libx264", "-qp", "4", "-bf", "3"];
    made(name, &[&from[..], more].concat())
}

/// Which of the numbered frames is shown.
fn number(player: &Player<'_>) -> i64 {
    let (width, height) = player.size();
    let middle = player.pixels()[((height / 2 * width + width / 2) * 4) as usize];
    // Its brightness again, in limited range.
    (f64::from(middle) * 219.0 / 255.0 / 2.0 - 2.0).round() as i64
}

fn player(footage: &Clip) -> Player<'_> {
    let (width, height) = footage.upright();
    Player::new(footage, width / height)
}

/// How far what a clip shows is from what ffmpeg shows, as a mean of all values.
fn difference(name: &str, file: &[u8], frame: u32, fps: u32) -> f64 {
    let footage = Clip::read(file.to_vec()).unwrap();
    let mut player = player(&footage);
    player.show(frame, fps).unwrap();
    let (width, height) = player.size();
    let theirs = File::new(name, file).frame(f64::from(frame) / f64::from(fps));
    assert_eq!(theirs.len(), (width * height * 3) as usize, "{name}: {width} {height}");
    let ours = player.pixels().as_chunks::<4>().0.iter().flat_map(|pixel| &pixel[..3]);
    let sum: u64 = ours.zip(&theirs).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / theirs.len() as f64
}

/// A colourful picture that moves and is not the same in any direction.
fn scene(name: &str, size: &str, more: &[&str]) -> Vec<u8> {
    let source = format!("testsrc=s={size}:r=25:d=1");
    made(
        name,
        &[&["-f", "lavfi", "-i", &source, "-c:v", "libx264", "-qp", "8", "-pix_fmt", "yuv420p"][..], more]
            .concat(),
    )
}

/// A second of each of these colours, so many frames a second, with frames out of order and one key frame.
fn seconds_of(name: &str, size: &str, rate: u32, colors: &[&str]) -> Vec<u8> {
    let sources: Vec<String> = (0..)
        .zip(colors)
        .map(|(at, color)| format!("color=c={color}:s={size}:r={rate}:d=1[c{at}]"))
        .collect();
    let all: String = (0..colors.len()).map(|at| format!("[c{at}]")).collect();
    let graph = format!(
        "{};{all}concat=n={},scale=out_color_matrix=bt709,format=yuv420p[out]",
        sources.join(";"),
        colors.len()
    );
    let arguments = [
        "-filter_complex",
        &graph,
        "-map",
        "[out]",
        "-c:v",
        "libx264",
        "-qp",
        "8",
        "-g",
        "999",
        "-bf",
        "3",
        "-sc_threshold",
        "0",
        "-colorspace",
        "bt709",
    ];
    made(name, &arguments)
}

#[test]
fn frames_out_of_order_are_shown_in_order_each_at_its_time() {
    if !decoder() {
        return;
    }
    // One key frame, or one every nine frames; frames that others are made of between them.
    for (name, more) in [
        ("one.mp4", &["-g", "999", "-x264-params", "b-pyramid=normal:scenecut=0"][..]),
        ("many.mov", &["-g", "9", "-x264-params", "b-pyramid=normal:scenecut=0"]),
        ("plain.mp4", &["-bf", "0", "-profile:v", "baseline"]),
        ("slices.mp4", &["-x264-params", "slices=4:scenecut=0"]),
    ] {
        let footage = Clip::read(numbered(name, 25, 4, more)).unwrap();
        assert!((footage.seconds() - 4.0).abs() < 1e-9, "{name}: {}", footage.seconds());
        let mut player = player(&footage);
        for frame in 0..100 {
            player.show(frame, 25).unwrap();
            assert_eq!(number(&player), i64::from(frame), "{name}");
        }
        // It begins again; a film with another rate shows what is on the screen then; and any order will do.
        for (frame, fps, expected) in [
            (103, 25, 3),
            (0, 30, 0),
            (29, 30, 24),
            (30, 30, 25),
            (119, 30, 99),
            (120, 30, 0),
            (7, 60, 2),
            (64, 25, 64),
            (5, 25, 5),
        ] {
            player.show(frame, fps).unwrap();
            assert_eq!(number(&player), expected, "{name}: {frame} of {fps}");
        }
    }
}

#[test]
fn what_an_edit_list_cuts_off_is_not_shown() {
    if !decoder() {
        return;
    }
    let whole = File::new("uncut", &numbered("uncut.mp4", 25, 4, &["-g", "50"]));
    let path = whole.path();
    let cut = made("cut.mp4", &["-ss", "0.4", "-i", path, "-t", "2", "-c", "copy"]);
    let footage = Clip::read(cut).unwrap();
    let mut player = player(&footage);
    for frame in [0, 1, 20, 45] {
        player.show(frame, 25).unwrap();
        assert_eq!(number(&player), i64::from(frame) + 10);
    }
    assert!((1.9..2.2).contains(&footage.seconds()), "{}", footage.seconds());
}

#[test]
fn frames_of_uneven_length_are_shown_as_long_as_they_last() {
    if !decoder() {
        return;
    }
    let slow_then_fast = ["-vf", "setpts='if(lt(N,10),N/10,1+(N-10)/25)/TB'", "-vsync", "vfr"];
    let footage = Clip::read(numbered("uneven.mp4", 25, 1, &slow_then_fast)).unwrap();
    let mut player = player(&footage);
    for (frame, expected) in [(0, 0), (5, 1), (16, 5), (29, 9), (30, 10), (36, 15), (42, 20)] {
        player.show(frame, 30).unwrap();
        assert_eq!(number(&player), expected, "{frame}");
    }
}

#[test]
fn a_clip_is_turned_upright_and_cut_from_its_middle() {
    if !decoder() {
        return;
    }
    let file = scene("straight.mp4", "320x180", &[]);
    let straight = File::new("straight", &file);
    for turn in ["0", "90", "180", "270"] {
        let name = format!("turned-{turn}");
        let turned = made(
            &format!("{name}.mp4"),
            &["-i", straight.path(), "-c", "copy", "-metadata:s:v:0", &format!("rotate={turn}")],
        );
        let footage = Clip::read(turned.clone()).unwrap();
        let is_upright = footage.upright() == (180.0, 320.0);
        assert_eq!(is_upright, matches!(turn, "90" | "270"), "{turn}");
        let found = difference(&name, &turned, 3, 25);
        assert!(found < 3.0, "{turn}: {found}");
    }
    // Mirrors, which no program of ffmpeg's writes: the signs are turned round in the file.
    let place = file.windows(4).position(|name| name == b"tkhd").unwrap() + 4 + 40;
    let mirrored = |signs: [i32; 4]| {
        let mut file = file.clone();
        for (at, sign) in [0, 4, 12, 16].into_iter().zip(signs) {
            file[place + at..][..4].copy_from_slice(&(sign << 16).to_be_bytes());
        }
        let footage = Clip::read(file).unwrap();
        let mut player = player(&footage);
        player.show(0, 25).unwrap();
        (player.size(), player.pixels().to_vec())
    };
    let ((width, height), plain) = mirrored([1, 0, 0, 1]);
    let at = |pixels: &[u8], width: u32, x: u32, y: u32| -> [u8; 4] {
        pixels.as_chunks().0[(y * width + x) as usize]
    };
    for (signs, is_turned) in
        [([-1, 0, 0, 1], false), ([1, 0, 0, -1], false), ([0, 1, 1, 0], true), ([0, -1, -1, 0], true)]
    {
        let (size, pixels) = mirrored(signs);
        assert_eq!(size, if is_turned { (height, width) } else { (width, height) });
        for (x, y) in [(0, 0), (17, 5), (319, 179), (200, 90)] {
            let (x_on, y_on) = match signs {
                [-1, _, _, 1] => (width - 1 - x, y),
                [1, _, _, -1] => (x, height - 1 - y),
                [_, 1, 1, _] => (y, x),
                _ => (height - 1 - y, width - 1 - x),
            };
            assert_eq!(at(&pixels, size.0, x_on, y_on), at(&plain, width, x, y), "{signs:?} {x} {y}");
        }
    }
    // The middle of a wide clip in an upright film.
    let footage = Clip::read(file.clone()).unwrap();
    let mut cut = Player::new(&footage, 9.0 / 16.0);
    cut.show(0, 25).unwrap();
    assert_eq!(cut.size(), (101, 180));
    for (x, y) in [(0, 0), (50, 90), (100, 179)] {
        assert_eq!(at(cut.pixels(), 101, x, y), at(&plain, 320, x + 108, y));
    }
}

#[test]
fn colours_are_those_that_another_program_shows() {
    if !decoder() {
        return;
    }
    let tagged = |matrix: &str, range: &str| {
        let filter = format!("scale=out_color_matrix={matrix}:out_range={range},format=yuv420p");
        let space = match matrix {
            "bt601" => "smpte170m",
            "bt2020" => "bt2020nc",
            other => other,
        };
        let range = if range == "full" { "pc" } else { "tv" };
        let name = format!("{matrix}-{range}.mp4");
        scene(&name, "320x182", &["-vf", &filter, "-colorspace", space, "-color_range", range])
    };
    let cases = [
        ("bt709", "limited"),
        ("bt709", "full"),
        ("bt601", "limited"),
        ("bt601", "full"),
        ("bt2020", "limited"),
    ];
    for (matrix, range) in cases {
        let found = difference(&format!("{matrix}-{range}"), &tagged(matrix, range), 5, 25);
        assert!(found < 2.5, "{matrix} {range}: {found}");
    }
    // Without a word of it, players go by the size.
    for (size, matrix) in [("320x180", "bt601"), ("1280x720", "bt709")] {
        let filter = format!("scale=out_color_matrix={matrix},format=yuv420p");
        let source = format!("color=c=0xC81E28:s={size}:r=25:d=0.2");
        let file = made(
            &format!("untold-{matrix}.mp4"),
            &["-f", "lavfi", "-i", &source, "-vf", &filter, "-c:v", "libx264", "-qp", "4"],
        );
        let footage = Clip::read(file).unwrap();
        let mut player = player(&footage);
        player.show(0, 25).unwrap();
        let found: [u8; 3] = *player.pixels().first_chunk().unwrap();
        assert!(found.iter().zip([200, 30, 40]).all(|(a, b)| a.abs_diff(b) < 4), "{size}: {found:?}");
    }
}

#[test]
fn pixels_that_are_not_square_are_stretched() {
    if !decoder() {
        return;
    }
    for name in ["squeezed.mp4", "squeezed.mov"] {
        let footage = Clip::read(scene(name, "160x180", &["-vf", "setsar=2"])).unwrap();
        assert_eq!(footage.upright(), (320.0, 180.0));
        // A square of what is seen is twice as high as wide in the file.
        assert_eq!(Player::new(&footage, 1.0).size(), (90, 180));
    }
}

#[test]
fn other_files_are_refused_with_what_to_do() {
    if !decoder() {
        return;
    }
    let source = ["-f", "lavfi", "-i", "testsrc=s=128x96:r=25:d=0.4"];
    let of = |name: &str, more: &[&str]| read(made(name, &[&source[..], more].concat())).map(|_| ());
    let x264 = |name: &str, more: &[&str]| of(name, &[&["-c:v", "libx264"][..], more].concat());
    assert_eq!(
        of("hevc.mp4", &["-c:v", "libx265", "-x265-params", "log-level=none"]),
        Err(FootageError::Codec("HEVC (H.265)"))
    );
    assert_eq!(of("vp9.mp4", &["-c:v", "libvpx-vp9"]), Err(FootageError::Codec("VP9")));
    assert_eq!(of("old.mp4", &["-c:v", "mpeg4"]), Err(FootageError::Codec("MPEG-4 Visual")));
    assert_eq!(of("vp9.webm", &["-c:v", "libvpx-vp9"]), Err(FootageError::Unknown));
    for (name, more) in [
        ("deep.mp4", &["-pix_fmt", "yuv420p10le"][..]),
        ("wide.mp4", &["-pix_fmt", "yuv422p"]),
        ("full.mp4", &["-pix_fmt", "yuv444p"]),
        ("fields.mp4", &["-pix_fmt", "yuv420p", "-flags", "+ildct+ilme"]),
    ] {
        assert_eq!(x264(name, more), Err(FootageError::Kind), "{name}");
    }
    let plain = ["-pix_fmt", "yuv420p"];
    let more = |more: &[&'static str]| [&plain[..], more].concat();
    assert_eq!(x264("plain.mp4", &plain), Ok(()));
    assert_eq!(x264("plain.mov", &plain), Ok(()));
    assert_eq!(x264("at-the-end.mp4", &more(&["-movflags", "+faststart"])), Ok(()));
    assert_eq!(
        x264("pieces.mp4", &more(&["-movflags", "frag_keyframe+empty_moov"])),
        Err(FootageError::Fragmented)
    );
    assert_eq!(x264("large.mp4", &more(&["-vf", "scale=4128:64"])), Err(FootageError::Size(4128, 64)));
    assert_eq!(x264("quick.mp4", &more(&["-r", "180"])), Err(FootageError::Rate(180)));
    let [m4a, mp3]: [&[u8]; 2] =
        [include_bytes!("../recordings/tone.m4a"), include_bytes!("../recordings/tone.mp3")];
    assert_eq!(read(m4a).map(|_| ()), Err(FootageError::NoPictures));
    for unknown in [mp3, b"", b"no clip at all", include_bytes!("../../looks.jpg")] {
        assert_eq!(read(unknown).map(|_| ()), Err(FootageError::Unknown));
    }
    assert!(matches!(read(vec![0_u8; FILE + 1]), Err(FootageError::Bytes)));
    let said = FootageError::Codec("HEVC (H.265)").to_string();
    assert!(
        said.starts_with("its pictures are HEVC (H.265), and only H.264 is read here: export it"),
        "{said}"
    );
}

/// The place of what a box holds.
fn content(file: &[u8], name: [u8; 4]) -> usize {
    file.windows(4).position(|found| found == name).unwrap() + 4
}

/// Attacks: 201.
#[test]
fn an_index_that_lies_is_not_believed() {
    if !decoder() {
        return;
    }
    let file = numbered("honest.mp4", 25, 1, &[]);
    assert!(read(file.clone()).is_ok());
    let lying = |name: &[u8; 4], at: usize, value: u32| {
        let mut file = file.clone();
        let place = content(&file, *name) + at;
        file[place..place + 4].copy_from_slice(&value.to_be_bytes());
        read(file).map(|footage| footage.seconds())
    };
    let damaged = Err(FootageError::Damaged);
    // How many sizes there are, how large all are, and the first.
    for (at, value) in [(8, u32::MAX), (8, 24), (4, 1 << 30), (12, u32::MAX), (12, 1 << 27)] {
        assert_eq!(lying(b"stsz", at, value), damaged, "stsz {at} {value}");
    }
    // How many chunks there are, and where the first is.
    for (at, value) in [(4, u32::MAX), (4, 0), (8, u32::MAX), (8, file.len() as u32)] {
        assert_eq!(lying(b"stco", at, value), damaged, "stco {at} {value}");
    }
    for (name, at, value) in [
        (b"stts", 4, u32::MAX),
        (b"stts", 8, u32::MAX),
        (b"ctts", 4, 1 << 28),
        (b"ctts", 8, u32::MAX),
        (b"stsc", 8, 0),
        (b"stsc", 12, u32::MAX),
        (b"mdhd", 12, 0),
    ] {
        assert!(lying(name, at, value).is_err(), "{name:?} {at} {value}");
    }
    // As long as a day, or no time at all: the first frame stands.
    for value in [u32::MAX, 0] {
        let seconds = lying(b"stts", 12, value).unwrap_or(1.0);
        assert!(seconds > 0.0 && seconds <= LONGEST + 0.001, "{value}: {seconds}");
    }
    for (at, value) in [(8, u32::MAX), (8, 0), (12, 1 << 30), (12, u32::MAX)] {
        let seconds = lying(b"elst", at, value).unwrap_or(1.0);
        assert!(seconds > 0.0 && seconds <= LONGEST, "elst {at} {value}: {seconds}");
    }
    // No frames.
    let mut empty = file.clone();
    for name in [b"stsz", b"stco", b"stts", b"ctts", b"stsc"] {
        let place = content(&empty, *name) + if name == b"stsz" { 8 } else { 4 };
        empty[place..place + 4].fill(0);
    }
    assert_eq!(read(empty).map(|_| ()), Err(FootageError::NoPictures));
    // A unit that hides another, which would say that it is larger.
    for (unit, is_taken) in
        [(&[0x41, 0, 0, 3, 1][..], true), (&[0x41, 0, 0, 1, 0x67], false), (&[0x41, 0, 0, 0], false)]
    {
        assert_eq!(put(unit, &mut Vec::new()).is_ok(), is_taken, "{unit:?}");
    }
    let footage = Clip::read(file).unwrap();
    let mut written = Vec::new();
    footage.write(footage.samples[0], &mut written).unwrap();
    assert!(written.starts_with(&[0, 0, 0, 1, 0x65]), "nothing comes before the frame: {:?}", &written[..9]);
}

/// Attacks: 201.
#[test]
fn cut_and_damaged_files_are_refused_or_shown_and_never_panic() {
    if !decoder() {
        return;
    }
    let first = numbered("whole.mp4", 25, 1, &["-movflags", "+faststart"]);
    let files = [numbered("whole.mov", 25, 1, &["-g", "5"]), first.clone()];
    let mut noise = 1_u32;
    let mut next = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 8) as usize
    };
    let show = |file: Vec<u8>| {
        let file: Bytes = Arc::new(file);
        let Ok(footage) = index(&file) else { return false };
        let mut player = player(&footage);
        (0..30).step_by(3).any(|frame| player.show(frame, 30).is_ok())
    };
    let mut shown = 0;
    for file in &files {
        for cut in (0..file.len()).step_by(file.len() / 60) {
            show(file[..cut].to_vec());
        }
        for round in 0..400 {
            let mut broken = file.clone();
            // Everywhere, or only in the pictures.
            let data = content(file, *b"mdat");
            for _ in 0..=next() % 6 {
                let place =
                    if round % 2 == 0 { next() % file.len() } else { data + next() % (file.len() - data) };
                broken[place] = next() as u8;
            }
            shown += usize::from(show(broken));
        }
    }
    assert!(shown > 100, "most can still be shown: {shown}");
    // What was cut off is missing: the index comes first.
    let data = content(&first, *b"mdat");
    assert_eq!(read(first[..data + 200].to_vec()).map(|_| ()), Err(FootageError::Damaged));
}

fn clip(text: Option<&str>, clip: usize) -> SceneSpec {
    SceneSpec { text: text.map(str::to_owned), clip: Some(clip), ..SceneSpec::default() }
}

fn film(spec: &VideoSpec, clips: &[Footage]) -> Video {
    generate(spec, &[], clips, &Sound::default(), |_| ControlFlow::Continue(())).unwrap()
}

/// The mean of a frame of a film.
fn mean(file: &File, seconds: f64) -> [u8; 3] {
    let frame = file.frame(seconds);
    let count = frame.len() as u64 / 3;
    [0, 1, 2].map(|channel| {
        (frame.iter().skip(channel).step_by(3).map(|v| u64::from(*v)).sum::<u64>() / count) as u8
    })
}

fn near(found: [u8; 3], wanted: [u8; 3], place: &str) {
    assert!(found.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) < 10), "{place}: {found:?} {wanted:?}");
}

#[test]
fn a_film_shows_its_clips_second_by_second() {
    if !decoder() {
        return;
    }
    let [red, green, blue, grey] = [[200, 30, 40], [30, 160, 60], [40, 60, 200], [120, 120, 120]];
    let clips = [
        read(seconds_of("three.mp4", "320x180", 25, &["0xC81E28", "0x1EA03C", "0x283CC8"])).unwrap(),
        read(seconds_of("one.mp4", "90x160", 30, &["0x787878"])).unwrap(),
    ];
    let both = VideoSpec {
        captions: false,
        duration_seconds: Some(8.0),
        ..tiny(VideoKind::Slideshow, vec![clip(None, 0), clip(None, 1)])
    };
    for kind in [
        VideoKind::Slideshow,
        VideoKind::KenBurns,
        VideoKind::ZoomIn,
        VideoKind::ZoomOut,
        VideoKind::Parallax,
        VideoKind::Transition,
    ] {
        let made = film(&VideoSpec { kind, ..both.clone() }, &clips);
        let file = File::new(&format!("clips-{kind:?}"), &made.mp4);
        assert_eq!(file.probe("v", "nb_read_frames"), "240");
        // Four seconds of three: the first comes again.
        for (seconds, color) in [
            (0.0, red),
            (0.96, red),
            (1.0, green),
            (1.96, green),
            (2.0, blue),
            (2.96, blue),
            (3.0, red),
            (3.96, red),
        ] {
            near(mean(&file, seconds), color, &format!("{kind:?} {seconds}"));
        }
        near(mean(&file, 5.5), grey, &format!("{kind:?}"));
        // While the second clip comes, the first goes on: it is green by then, in the middle of the change.
        let changing = mean(&file, if kind == VideoKind::Transition { 4.4 } else { 4.25 });
        assert!(changing[1] > changing[0] && changing[1] > changing[2], "{kind:?}: {changing:?}");
        assert_eq!(
            made.notes,
            [
                VideoNote::ClipEnlarged { scene: 0 },
                VideoNote::ClipRepeated { scene: 0, clip_seconds: 3.0 },
                VideoNote::ClipEnlarged { scene: 1 },
                VideoNote::ClipRepeated { scene: 1, clip_seconds: 1.0 },
            ]
        );
    }
    let again = |seed| film(&VideoSpec { seed, kind: VideoKind::KenBurns, ..both.clone() }, &clips);
    assert!(again(3) == again(3), "the same every time");
}

#[test]
fn captions_are_readable_all_through_a_clip() {
    if !decoder() {
        return;
    }
    // Dark at the beginning, in the middle and at the end, and white between them.
    let colors = ["black", "white", "black", "white", "black"];
    let clips = [read(seconds_of("flashing.mp4", "180x320", 30, &colors)).unwrap()];
    let spec = VideoSpec {
        duration_seconds: Some(5.0),
        ..tiny(VideoKind::Slideshow, vec![clip(Some("Ich atme ein und aus."), 0)])
    };
    let made = film(&spec, &clips);
    assert!(made.caption_contrast.unwrap() >= 3.0, "{:?}", made.caption_contrast);
    assert_eq!(made.notes, []);
    let file = File::new("flashing", &made.mp4);
    let under = |seconds: f64| {
        let frame = file.frame(seconds);
        let row = &frame[(320 * 63 / 100) * 180 * 3..][..180 * 3];
        row.chunks(3).map(|pixel| u32::from(pixel[1])).sum::<u32>() / 180
    };
    assert!(under(1.1) < 190 && under(4.5) < 60, "{} {}", under(1.1), under(4.5));
    assert!(mean(&file, 1.5)[1] > 120, "the veil stays close to the text");
}

#[test]
fn a_film_that_was_made_here_is_a_clip_for_the_next() {
    let scene = SceneSpec::default();
    let first =
        film(&VideoSpec { duration_seconds: Some(4.0), ..tiny(VideoKind::KenBurns, vec![scene]) }, &[]);
    let footage = read(first.mp4).unwrap();
    assert!((footage.seconds() - 4.0).abs() < 0.01 && footage.upright() == (180.0, 320.0));
    let second = film(&tiny(VideoKind::Slideshow, vec![clip(None, 0)]), &[footage]);
    assert_eq!(second.notes, []);
}

#[test]
fn a_clip_that_breaks_off_is_refused_where_it_was_given() {
    if !decoder() {
        return;
    }
    let mut file = scene("broken.mp4", "320x180", &["-g", "5", "-movflags", "+faststart"]);
    // All after the first half is another's.
    let data = content(&file, *b"mdat");
    let from = data + (file.len() - data) / 2;
    file[from..].fill(0x5A);
    let clips = [read(file).unwrap()];
    let spec = tiny(VideoKind::Slideshow, vec![SceneSpec::default(), clip(None, 0)]);
    let made = generate(&spec, &[], &clips, &Sound::default(), |_| ControlFlow::Continue(()));
    let Err(VideoError::Invalid { field: "clipAssetIds", reason }) = made else {
        panic!("it cannot be shown")
    };
    assert!(reason.starts_with("the clip of scene 2 cannot be used: it is damaged"), "{reason}");
    let missing = generate(&spec, &[], &[], &Sound::default(), |_| ControlFlow::Continue(()));
    assert!(matches!(missing, Err(VideoError::Invalid { field: "scenes", .. })));
}
