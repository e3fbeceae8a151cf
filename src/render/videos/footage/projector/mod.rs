//! How clips are shown from a process of their own: what is asked, what is answered, and both sides of it.
//!
//! A decoder is where somebody attacks who can send a clip, and none is beyond doubt. So whoever makes films never reads a clip:
//! a [`Projector`] does, a process that is given the file and asked for its frames. [`read_clip`] is what it does; a [`Screen`]
//! asks, and believes nothing of what it is told before it has looked: the process may have become somebody else's.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use super::player::Player;
use super::{Bytes, CODECS, Clip, FILE, FootageError, OTHER, Result, SIDE};
use crate::videos::LONGEST;

/// Starts what reads clips.
pub trait Projectors: Send + Sync {
    /// Starts a process that does [`read_clip`], and ends with what is given.
    ///
    /// # Errors
    /// It cannot be started.
    fn start(&self) -> io::Result<Box<dyn Projector>>;
}

/// A process that reads one clip.
pub trait Projector: Send {
    /// Sends a question, which comes in pieces, and gives what its answer is read from.
    ///
    /// # Errors
    /// Here or while the answer is read: the process has ended, or takes too long. `ConnectionAborted` when that is not the clip's
    /// fault.
    fn ask(&mut self, question: &[&[u8]]) -> io::Result<&mut dyn Read>;
}

/// A clip that can be shown behind texts, up to its first [`LONGEST`] seconds. Its own sound is not used.
#[derive(Clone)]
pub struct Footage {
    file: Bytes,
    projectors: Arc<dyn Projectors>,
    facts: Facts,
}

/// What a clip is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Facts {
    /// How long it lasts, as far as it is used.
    seconds: f64,
    /// Width as it is seen.
    width: f64,
    /// Height as it is seen.
    height: f64,
}

impl Facts {
    /// Whether there are such clips.
    fn can_be(self) -> bool {
        // Pixels may be four times as wide as high.
        let sides = 1.0..=f64::from(4 * SIDE);
        let Self { seconds, width, height } = self;
        seconds > 0.0 && seconds <= LONGEST && sides.contains(&width) && sides.contains(&height)
    }
}

impl Footage {
    /// Has a file read: what it says of its pictures, and the first of them.
    pub fn read(
        file: impl AsRef<[u8]> + Send + Sync + 'static,
        projectors: Arc<dyn Projectors>,
    ) -> Result<Self> {
        let file: Bytes = Arc::new(file);
        let (projector, facts) = open(&file, &*projectors)?;
        Screen::new(projector, facts.width / facts.height).show(0, 30)?;
        Ok(Self { file, projectors, facts })
    }

    /// Its length in seconds, as far as it is used.
    pub fn seconds(&self) -> f64 {
        self.facts.seconds
    }

    /// Bytes of its file.
    pub fn bytes(&self) -> usize {
        (*self.file).as_ref().len()
    }

    /// Width and height as it is seen: upright, with square pixels.
    pub(crate) fn upright(&self) -> (f64, f64) {
        (self.facts.width, self.facts.height)
    }

    /// A screen that shows the middle of it in a shape, width by height.
    pub(crate) fn play(&self, shape: f64) -> Result<Screen> {
        let (projector, facts) = open(&self.file, &*self.projectors)?;
        // The same file is the same clip.
        if facts == self.facts { Ok(Screen::new(projector, shape)) } else { Err(FootageError::Stopped) }
    }
}

impl fmt::Debug for Footage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Footage").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// Gives a file to a new process.
fn open(file: &Bytes, projectors: &dyn Projectors) -> Result<(Box<dyn Projector>, Facts)> {
    let file = (**file).as_ref();
    if file.len() > FILE {
        return Err(FootageError::Bytes);
    }
    let mut projector = projectors.start().map_err(|_| FootageError::Away)?;
    let length = (file.len() as u64).to_le_bytes();
    match answer(&mut *projector, &[&length, file])?.0 {
        Answer::Known(facts) if facts.can_be() => Ok((projector, facts)),
        Answer::Refused(error) => Err(error),
        _ => Err(FootageError::Stopped),
    }
}

/// What is answered to a question, and what more there is to read.
fn answer<'p>(projector: &'p mut dyn Projector, question: &[&[u8]]) -> Result<(Answer, &'p mut dyn Read)> {
    let reader = projector.ask(question).map_err(stopped)?;
    let mut said = [0; Answer::BYTES];
    reader.read_exact(&mut said).map_err(stopped)?;
    Ok((Answer::parse(said).ok_or(FootageError::Stopped)?, reader))
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` gives")]
fn stopped(error: io::Error) -> FootageError {
    if error.kind() == ErrorKind::ConnectionAborted { FootageError::Away } else { FootageError::Stopped }
}

/// Shows a clip that another process decodes. Asked for frames in their order it has each decoded once.
pub(crate) struct Screen {
    projector: Box<dyn Projector>,
    shape: f64,
    /// What was asked for last.
    asked: Option<Question>,
    size: (u32, u32),
    /// What is shown: RGBA, all opaque.
    pixels: Vec<u8>,
}

impl Screen {
    fn new(projector: Box<dyn Projector>, shape: f64) -> Self {
        Self { projector, shape, asked: None, size: (0, 0), pixels: Vec::new() }
    }

    /// Width and height of what is shown.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The pixels of what is shown: RGBA, all opaque.
    pub(crate) fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Shows what the clip shows in a frame of a film, which began with it and has so many frames a second. A clip that is over
    /// begins again.
    pub(crate) fn show(&mut self, frame: u32, fps: u32) -> Result<()> {
        let question = Question { frame, fps, shape: self.shape };
        if self.asked == Some(question) {
            return Ok(());
        }
        self.asked = None;
        match answer(&mut *self.projector, &[&question.bytes()])? {
            (Answer::Shown(size), reader) => {
                let (width, height) = size;
                self.pixels.resize(width as usize * height as usize * 4, 255);
                reader.read_exact(&mut self.pixels).map_err(stopped)?;
                for pixel in self.pixels.as_chunks_mut::<4>().0 {
                    pixel[3] = 255;
                }
                self.size = size;
            }
            (Answer::AsBefore, _) if !self.pixels.is_empty() => {}
            (Answer::Refused(error), _) => return Err(error),
            _ => return Err(FootageError::Stopped),
        }
        self.asked = Some(question);
        Ok(())
    }
}

/// Reads one clip from `input`, and answers what is asked about it there, until nobody asks any more. Its process is one that
/// nobody will miss.
///
/// # Errors
/// What cannot be read or written.
pub fn read_clip(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > FILE {
        return Answer::Refused(FootageError::Bytes).write(output);
    }
    let mut file = Vec::new();
    file.try_reserve_exact(length)?;
    input.take(length as u64).read_to_end(&mut file)?;
    if file.len() < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let clip = match Clip::read(file) {
        Ok(clip) => clip,
        Err(error) => return Answer::Refused(error).write(output),
    };
    let (width, height) = clip.upright();
    Answer::Known(Facts { seconds: clip.seconds(), width, height }).write(output)?;
    let mut player = Player::new(&clip, 1.0);
    let (mut shape, mut sent) = (1.0, None);
    let mut ahead = None;
    while let Some(question) = Question::read(input)? {
        if question.shape.to_bits() != f64::to_bits(shape) {
            player = Player::new(&clip, question.shape);
            (shape, sent) = (question.shape, None);
        }
        let shown = match ahead {
            Some((known, shown)) if known == question => shown,
            _ => player.show(question.frame, question.fps),
        };
        match shown {
            Err(error) => Answer::Refused(error).write(output)?,
            Ok(()) if sent == Some(player.converted()) => Answer::AsBefore.write(output)?,
            Ok(()) => {
                Answer::Shown(player.size()).write(output)?;
                output.write_all(player.pixels())?;
                output.flush()?;
                sent = Some(player.converted());
            }
        }
        // While that is drawn and encoded, the next one is decoded.
        let next = Question { frame: question.frame.saturating_add(1), ..question };
        ahead = Some((next, player.show(next.frame, next.fps)));
    }
    Ok(())
}

/// What is asked of a clip: what it shows.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Question {
    /// In which frame of a film.
    frame: u32,
    /// How many frames a second that has.
    fps: u32,
    /// Which shape the picture has, width by height.
    shape: f64,
}

impl Question {
    const BYTES: usize = 16;

    fn bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let values = self.frame.to_le_bytes().into_iter().chain(self.fps.to_le_bytes());
        for (byte, value) in bytes.iter_mut().zip(values.chain(self.shape.to_le_bytes())) {
            *byte = value;
        }
        bytes
    }

    /// Reads one; none when there are no more.
    fn read(input: &mut impl Read) -> io::Result<Option<Self>> {
        let (mut frame, mut fps, mut shape) = ([0; 4], [0; 4], [0; 8]);
        match input.read_exact(&mut frame) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        input.read_exact(&mut fps)?;
        input.read_exact(&mut shape)?;
        let (frame, fps) = (u32::from_le_bytes(frame), u32::from_le_bytes(fps));
        Ok(Some(Self { frame, fps, shape: f64::from_le_bytes(shape) }))
    }
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    /// The file is a clip.
    Known(Facts),
    /// What is shown has this width and height; its pixels follow.
    Shown((u32, u32)),
    /// What is shown is what was shown last.
    AsBefore,
    /// It cannot be read or shown.
    Refused(FootageError),
}

/// Errors that say no more than that they are.
const PLAIN: [FootageError; 7] = [
    FootageError::Unknown,
    FootageError::Bytes,
    FootageError::Fragmented,
    FootageError::NoPictures,
    FootageError::Protected,
    FootageError::Kind,
    FootageError::Damaged,
];

/// What an answer begins with.
const KNOWN: u8 = 0;
const SHOWN: u8 = 1;
const AS_BEFORE: u8 = 2;
const REFUSED: u8 = 3;
const CODEC: u8 = 4;
const SIZE: u8 = 5;
const RATE: u8 = 6;

impl Answer {
    /// A byte that says which, and three numbers.
    const BYTES: usize = 1 + 3 * 8;

    fn bytes(self) -> [u8; Self::BYTES] {
        let place = |found: Option<usize>, other: usize| found.unwrap_or(other) as u64;
        let (kind, values): (u8, [u64; 3]) = match self {
            Self::Known(Facts { seconds, width, height }) => {
                (KNOWN, [seconds.to_bits(), width.to_bits(), height.to_bits()])
            }
            Self::Shown((width, height)) => (SHOWN, [width.into(), height.into(), 0]),
            Self::AsBefore => (AS_BEFORE, [0; 3]),
            Self::Refused(FootageError::Codec(name)) => {
                (CODEC, [place(CODECS.iter().position(|codec| codec.0 == name), CODECS.len()), 0, 0])
            }
            Self::Refused(FootageError::Size(width, height)) => (SIZE, [width.into(), height.into(), 0]),
            Self::Refused(FootageError::Rate(rate)) => (RATE, [rate.into(), 0, 0]),
            Self::Refused(plain) => {
                (REFUSED, [place(PLAIN.iter().position(|known| *known == plain), PLAIN.len() - 1), 0, 0])
            }
        };
        let mut bytes = [0; Self::BYTES];
        let values = values.into_iter().flat_map(u64::to_le_bytes);
        for (byte, value) in bytes.iter_mut().zip(std::iter::once(kind).chain(values)) {
            *byte = value;
        }
        bytes
    }

    /// None when nobody who means well says such a thing.
    fn parse([kind, values @ ..]: [u8; Self::BYTES]) -> Option<Self> {
        let mut values = values.as_chunks().0.iter().map(|value| u64::from_le_bytes(*value));
        let (a, b, c) = (values.next()?, values.next()?, values.next()?);
        let small = |value: u64| u32::try_from(value).ok();
        let place = |value: u64| usize::try_from(value).ok();
        Some(match kind {
            KNOWN => Self::Known(Facts {
                seconds: f64::from_bits(a),
                width: f64::from_bits(b),
                height: f64::from_bits(c),
            }),
            SHOWN => {
                let size = (small(a)?, small(b)?);
                let is_a_picture = (1..=SIDE).contains(&size.0) && (1..=SIDE).contains(&size.1);
                return is_a_picture.then_some(Self::Shown(size));
            }
            AS_BEFORE => Self::AsBefore,
            REFUSED => Self::Refused(*PLAIN.get(place(a)?)?),
            CODEC => {
                let place = place(a).filter(|place| *place <= CODECS.len())?;
                Self::Refused(FootageError::Codec(CODECS.get(place).map_or(OTHER, |codec| codec.0)))
            }
            SIZE => Self::Refused(FootageError::Size(small(a)?, small(b)?)),
            RATE => Self::Refused(FootageError::Rate(small(a)?)),
            _ => return None,
        })
    }

    fn write(self, output: &mut impl Write) -> io::Result<()> {
        output.write_all(&self.bytes())?;
        output.flush()
    }
}
