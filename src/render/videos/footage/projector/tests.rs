//! Tests of what is said between a film and what decodes its clips, and of processes that are no longer ours.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::tests::read;
use super::*;
use crate::videos::tests::tiny;
use crate::videos::{SceneSpec, Sound, VideoKind, VideoSpec, generate};

/// A film of three seconds, which is a clip as well: 180 by 320, thirty frames a second.
fn film() -> Vec<u8> {
    let spec = VideoSpec { captions: false, ..tiny(VideoKind::KenBurns, vec![SceneSpec::default()]) };
    generate(&spec, &[], &[], &Sound::default(), |_| ControlFlow::Continue(())).unwrap().mp4
}

/// A process that says something of its own, whatever it is asked.
struct Liar(Box<dyn Read + Send>);

impl Projector for Liar {
    fn ask(&mut self, _: &[&[u8]]) -> io::Result<&mut dyn Read> {
        Ok(&mut self.0)
    }
}

/// What starts them: each says these bytes, and then the last of them for ever or no more.
struct Liars {
    said: Vec<u8>,
    is_endless: bool,
}

impl Projectors for Liars {
    fn start(&self) -> io::Result<Box<dyn Projector>> {
        let said = io::Cursor::new(self.said.clone());
        let last = self.said.last().copied().unwrap_or_default();
        let more = io::repeat(last).take(if self.is_endless { u64::MAX } else { 0 });
        Ok(Box::new(Liar(Box::new(said.chain(more)))))
    }
}

fn lied(said: Vec<u8>, is_endless: bool) -> Result<()> {
    Footage::read(b"a clip", Arc::new(Liars { said, is_endless })).map(|_| ())
}

const FACTS: Facts = Facts { seconds: 3.0, width: 16.0, height: 16.0 };

#[test]
fn what_is_said_arrives() {
    let errors = PLAIN.into_iter().chain([FootageError::Size(4_128, 64), FootageError::Rate(180)]);
    let codecs = CODECS.iter().map(|codec| codec.0).chain([OTHER]).map(FootageError::Codec);
    let answers = errors.chain(codecs).map(Answer::Refused);
    for said in answers.chain([Answer::Known(FACTS), Answer::Shown((1_080, 1_920)), Answer::AsBefore]) {
        assert_eq!(Answer::parse(said.bytes()), Some(said));
    }
    let asked = Question { frame: 77, fps: 30, shape: 0.5625 };
    assert_eq!(Question::read(&mut &asked.bytes()[..]).unwrap(), Some(asked));
    // What only the film's side can know is never said.
    for error in [FootageError::Stopped, FootageError::Away] {
        let said = Answer::parse(Answer::Refused(error).bytes());
        assert_eq!(said, Some(Answer::Refused(FootageError::Damaged)));
    }
}

#[test]
fn frames_come_over_as_they_are_decoded_and_each_once() {
    let file = film();
    let clip = Clip::read(file.clone()).unwrap();
    let mut player = Player::new(&clip, 1.0);
    let footage = read(file.clone()).unwrap();
    assert_eq!((footage.seconds(), footage.upright()), (clip.seconds(), clip.upright()));
    let mut screen = footage.play(1.0).unwrap();
    // In order, as a film does; and elsewhere, as it looks at its captions.
    for frame in (0..12).chain([12, 60, 30, 31, 31, 89, 90, 91, 0]) {
        player.show(frame, 30).unwrap();
        screen.show(frame, 30).unwrap();
        assert_eq!(screen.size(), player.size());
        assert!(screen.pixels() == player.pixels(), "{frame}");
    }
    // A film of twice as many frames a second has each sent once.
    let mut asked = (file.len() as u64).to_le_bytes().to_vec();
    asked.extend(&file);
    for frame in [0, 1, 2, 3, 3] {
        asked.extend(Question { frame, fps: 60, shape: 1.0 }.bytes());
    }
    let mut said = Vec::new();
    read_clip(&mut &asked[..], &mut said).unwrap();
    let mut said = &said[..];
    let mut next = || {
        let answer = Answer::parse(*said.split_off(..Answer::BYTES)?.first_chunk()?)?;
        if let Answer::Shown((width, height)) = answer {
            said.split_off(..(width * height * 4) as usize)?;
        }
        Some(answer)
    };
    let shown = Answer::Shown((180, 180));
    assert!(matches!(next(), Some(Answer::Known(_))));
    for expected in [shown, Answer::AsBefore, shown, Answer::AsBefore] {
        assert_eq!(next(), Some(expected));
    }
    // What was asked for once more is the picture before the one that was decoded ahead.
    assert_eq!(next(), Some(shown));
    assert_eq!(next(), None);
}

/// Attacks: 203.
#[test]
fn a_process_that_lies_is_not_believed() {
    let known = |facts: Facts| Answer::Known(facts).bytes().to_vec();
    let raw = |kind: u8, values: [u64; 3]| -> Vec<u8> {
        std::iter::once(kind).chain(values.into_iter().flat_map(u64::to_le_bytes)).collect()
    };
    let nothing_like_it = [
        // It ends before it has said anything, or anything whole.
        vec![],
        vec![KNOWN],
        known(FACTS)[..24].to_vec(),
        // Clips that there cannot be.
        known(Facts { seconds: 0.0, ..FACTS }),
        known(Facts { seconds: -1.0, ..FACTS }),
        known(Facts { seconds: 1e9, ..FACTS }),
        known(Facts { seconds: f64::NAN, ..FACTS }),
        known(Facts { width: f64::INFINITY, ..FACTS }),
        known(Facts { height: 0.0, ..FACTS }),
        known(Facts { height: f64::NAN, ..FACTS }),
        // Answers to what was not asked, and none.
        Answer::Shown((16, 16)).bytes().to_vec(),
        Answer::AsBefore.bytes().to_vec(),
        raw(200, [0; 3]),
        raw(REFUSED, [7, 0, 0]),
        raw(REFUSED, [u64::MAX, 0, 0]),
        raw(CODEC, [9, 0, 0]),
        raw(SIZE, [1 << 32, 0, 0]),
        raw(RATE, [u64::MAX, 0, 0]),
    ];
    for said in nothing_like_it {
        for is_endless in [false, true] {
            let is_whole = said.len() >= Answer::BYTES;
            if is_whole || !is_endless {
                assert_eq!(lied(said.clone(), is_endless), Err(FootageError::Stopped), "{said:?}");
            }
        }
    }
    for endless in [vec![0], vec![0xFF], vec![SHOWN], vec![REFUSED]] {
        assert_eq!(lied(endless.clone(), true), Err(FootageError::Stopped), "{endless:?}");
    }
    // A clip, and then a picture that is none.
    let then = |more: &[u8]| [&known(FACTS), more].concat();
    let picture = |width, height, pixels| [raw(SHOWN, [width, height, 0]), vec![9; pixels]].concat();
    for more in [
        vec![],
        known(FACTS),
        Answer::AsBefore.bytes().to_vec(),
        picture(0, 16, 0),
        picture(16, 0, 0),
        picture(u64::from(SIDE) + 1, 16, 0),
        picture(16, u64::MAX, 0),
        picture(16, 16, 16 * 16 * 4 - 1),
        picture(u64::from(SIDE), u64::from(SIDE), 0),
    ] {
        assert_eq!(lied(then(&more), false), Err(FootageError::Stopped), "{:?}", more.first_chunk::<25>());
    }
    assert_eq!(lied(then(&raw(REFUSED, [5, 0, 0])), false), Err(FootageError::Kind), "it may refuse");
    // One that says what can be is taken at its word, as far as it goes: so many pixels, none of them transparent.
    let said = then(&picture(16, 8, 16 * 8 * 4));
    let footage = Footage::read(b"a clip", Arc::new(Liars { said, is_endless: true })).unwrap();
    let mut screen = footage.play(1.0).unwrap();
    screen.show(0, 30).unwrap();
    assert_eq!((screen.size(), screen.pixels().len()), ((16, 8), 16 * 8 * 4));
    assert!(screen.pixels().chunks(4).all(|pixel| pixel == [9, 9, 9, 255]));
    assert_eq!(screen.show(1, 30), Err(FootageError::Stopped), "what follows is no answer");
}

/// Says something else of the same file each time.
struct Fickle(AtomicUsize);

impl Projectors for Fickle {
    fn start(&self) -> io::Result<Box<dyn Projector>> {
        let seconds = [3.0, 4.0][self.0.fetch_add(1, Ordering::Relaxed) % 2];
        let said = [&Answer::Known(Facts { seconds, ..FACTS }).bytes()[..], &Answer::Shown((16, 16)).bytes()];
        Ok(Box::new(Liar(Box::new(io::Cursor::new([said.concat(), vec![0; 16 * 16 * 4]].concat())))))
    }
}

/// Cannot be started.
struct Gone;

impl Projectors for Gone {
    fn start(&self) -> io::Result<Box<dyn Projector>> {
        Err(ErrorKind::OutOfMemory.into())
    }
}

/// Attacks: 203.
#[test]
fn a_clip_that_changes_is_not_shown_and_one_that_nobody_reads_is_not_at_fault() {
    let footage = Footage::read(b"a clip", Arc::new(Fickle(AtomicUsize::new(0)))).unwrap();
    assert!(matches!(footage.play(1.0), Err(FootageError::Stopped)));
    assert!(footage.play(1.0).is_ok());
    let away = Footage::read(b"a clip", Arc::new(Gone)).map(|_| ());
    assert_eq!(away, Err(FootageError::Away));
    let said = FootageError::Stopped.to_string();
    assert!(said.contains("more time or memory") && said.contains("export it again"), "{said}");
}

#[test]
fn what_is_asked_is_read_as_far_as_it_goes() {
    let answered = |asked: &[u8]| {
        let mut said = Vec::new();
        let ended = read_clip(&mut &*asked, &mut said);
        (ended.map_err(|error| error.kind()), said)
    };
    let length = |length: u64| length.to_le_bytes().to_vec();
    let cut = Err(ErrorKind::UnexpectedEof);
    assert_eq!(answered(b""), (cut, vec![]));
    assert_eq!(answered(&[length(9), b"no clip".to_vec()].concat()), (cut, vec![]));
    let refused = |error| (Ok(()), Answer::Refused(error).bytes().to_vec());
    assert_eq!(answered(&length(FILE as u64 + 1)), refused(FootageError::Bytes));
    assert_eq!(answered(&length(u64::MAX)), refused(FootageError::Bytes));
    assert_eq!(answered(&[length(7), b"no clip".to_vec()].concat()), refused(FootageError::Unknown));
    // Half a question is not answered.
    let file = film();
    let asked = [&length(file.len() as u64)[..], &file, &[0; 15]].concat();
    let (ended, said) = answered(&asked);
    assert_eq!((ended, said.len()), (cut, Answer::BYTES));
}
