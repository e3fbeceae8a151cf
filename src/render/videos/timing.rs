//! How long things are shown: reading speeds, scenes and cues, in whole frames.
//!
//! # Reading speed
//!
//! The pace is that of the International Reading Speed Texts, read aloud by adults (Trauzettel-Klosinski and Dietz 2012,
//! "Standardized Assessment of Reading Performance: The New International Reading Speed Texts `IReST`", Investigative
//! Ophthalmology & Visual Science 53(9), table of languages): German 920 characters a minute, English 987. Its words are
//! 5.1 and 4.3 characters long, so that spaces are not counted, and neither are they here. Reading aloud is slower than
//! silent reading (183 against 238 words a minute in English, Brysbaert 2019), which leaves time for the picture.
//!
//! A cue stays five sixths of a second at least and seven seconds at most, with two frames between cues (Netflix Timed
//! Text Style Guide, General Requirements).

use super::captions::{self, Cue};
use super::recording::{RATE, Recording};
use super::{
    FRAMES_PER_SECOND, LONGEST, SCENE_TEXT, SCENES, SHORTEST, VideoError, VideoKind, VideoNote, VideoScene,
    VideoSpec,
};
use crate::Language;
use crate::visuals::fonts::{Face, Voice};
use crate::visuals::text::clean;
use unicode_segmentation::UnicodeSegmentation;

/// Characters that are read in a second, spaces not counted.
pub fn reading_speed(language: Language) -> f64 {
    match language {
        Language::German => 920.0 / 60.0,
        Language::English => 987.0 / 60.0,
    }
}

/// Seconds before the eye has found a new text.
const FINDING: f64 = 0.8;
/// Seconds of a scene at the least.
const SCENE: f64 = 2.0;
/// Seconds of a scene without a text.
const SILENT_SCENE: f64 = 3.0;
/// Seconds of a cue at the least.
const CUE: f64 = 5.0 / 6.0;
/// Seconds of a cue at the most.
const LONG_CUE: f64 = 7.0;
/// Seconds before a scene's text is spoken: the change of scenes is half over.
const BEFORE_VOICE: f64 = 0.3;
/// Seconds after it: a breath.
const AFTER_VOICE: f64 = 0.4;
/// Frames between cues.
const GAP: u32 = 2;

/// Seconds that a text of a scene takes to be read.
pub fn reading_seconds(text: &str, language: Language) -> f64 {
    FINDING + count(text) / reading_speed(language)
}

/// Characters that are read: graphemes other than spaces.
#[expect(clippy::cast_precision_loss, reason = "texts are short")]
fn count(text: &str) -> f64 {
    text.graphemes(true).filter(|cluster| !cluster.trim().is_empty()).count() as f64
}

/// When everything happens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub fps: u32,
    pub frames: u32,
    /// The texts as they are drawn.
    pub texts: Vec<Option<String>>,
    /// The first frame of every scene, and the number of frames at the end.
    pub starts: Vec<u32>,
    /// How long each scene's text is spoken, in seconds.
    spoken: Vec<Option<f64>>,
    /// Frames of a change of scenes.
    pub transition: u32,
    pub cues: Vec<Cue>,
    pub notes: Vec<VideoNote>,
}

impl Plan {
    pub(crate) fn seconds(&self, frame: u32) -> f64 {
        f64::from(frame) / f64::from(self.fps)
    }

    /// Which scene a frame is in.
    pub(crate) fn scene_at(&self, frame: u32) -> usize {
        self.starts
            .iter()
            .rposition(|start| *start <= frame)
            .unwrap_or(0)
            .min(self.texts.len().saturating_sub(1))
    }

    /// The first frame of a scene and the first after it.
    pub(crate) fn span(&self, scene: usize) -> (u32, u32) {
        let start = self.starts.get(scene).copied().unwrap_or(0);
        (start, self.starts.get(scene + 1).copied().unwrap_or(self.frames))
    }

    /// The recordings of scenes, each with the sample of the film that it begins with.
    pub(crate) fn voices<'a>(&self, narration: &'a [Option<Recording>]) -> Vec<(usize, &'a Recording)> {
        let begins = |scene| (self.seconds(self.span(scene).0) + BEFORE_VOICE) * f64::from(RATE);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the film")]
        let voice = |(scene, spoken): (usize, &'a Option<Recording>)| {
            Some((begins(scene).round() as usize, spoken.as_ref()?))
        };
        narration.iter().enumerate().filter_map(voice).collect()
    }

    /// Whether a scene begins with a frame without a change, so that a key frame pays.
    pub(crate) fn begins_at(&self, frame: u32) -> bool {
        self.starts.contains(&frame)
    }

    /// The frame that stands for the film: late in the first cue, or in the middle of the first scene.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the film")]
    pub(crate) fn poster(&self) -> u32 {
        let (start, end) = self.span(0);
        let middle = start + (end - start) / 2;
        self.cues.first().map_or(middle, |cue| {
            let late = cue.start_seconds + (cue.end_seconds - cue.start_seconds) * 0.75;
            ((late * f64::from(self.fps)) as u32).min(self.frames.saturating_sub(1))
        })
    }

    pub(crate) fn scenes(&self) -> Vec<VideoScene> {
        self.texts
            .iter()
            .enumerate()
            .map(|(scene, text)| {
                let (start, end) = self.span(scene);
                VideoScene {
                    text: text.clone(),
                    start_seconds: self.seconds(start),
                    end_seconds: self.seconds(end),
                }
            })
            .collect()
    }
}

/// Checks a spec and plans its film, whose scenes are spoken for so many seconds each; none: they are read.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by a minute")]
pub(crate) fn plan(spec: &VideoSpec, spoken: &[Option<f64>]) -> Result<Plan, VideoError> {
    let invalid = |field, reason: String| Err(VideoError::Invalid { field, reason });
    if spec.scenes.is_empty() {
        let reason = "there is nothing to show: give a picture or a text".to_owned();
        return Err(VideoError::InsufficientInput { field: "scenes", reason });
    }
    if spec.scenes.len() > SCENES {
        return invalid("scenes", format!("at most {SCENES}"));
    }
    if spec.kind == VideoKind::Transition && spec.scenes.len() < 2 {
        let reason = "a transition needs two scenes or more".to_owned();
        return Err(VideoError::InsufficientInput { field: "scenes", reason });
    }
    if !FRAMES_PER_SECOND.contains(&spec.fps) {
        let (least, most) = FRAMES_PER_SECOND.into_inner();
        return invalid("fps", format!("between {least} and {most}"));
    }
    if spec.duration_seconds.is_some_and(|wanted| !(SHORTEST..=LONGEST).contains(&wanted)) {
        return invalid("durationSeconds", format!("between {SHORTEST} and {LONGEST}"));
    }
    let mut left_out = Vec::new();
    let texts = texts(spec, &mut left_out)?;
    let comfortable: Vec<f64> = texts
        .iter()
        .enumerate()
        .map(|(scene, text)| match (spoken.get(scene).copied().flatten(), text) {
            (Some(seconds), _) => (BEFORE_VOICE + seconds + AFTER_VOICE).max(SCENE),
            (None, Some(text)) => reading_seconds(text, spec.language).max(SCENE),
            (None, None) => SILENT_SCENE,
        })
        .collect();
    let needed: f64 = comfortable.iter().sum();
    let mut notes = Vec::new();
    if !left_out.is_empty() {
        notes.push(VideoNote::CharactersLeftOut { characters: left_out });
    }
    let is_spoken = spoken.iter().any(Option::is_some);
    let seconds = match spec.duration_seconds {
        _ if is_spoken && needed > LONGEST => {
            let reason = format!(
                "spoken, the texts take longer than a film may last, {LONGEST} seconds: shorten them"
            );
            return invalid("scenes", reason);
        }
        Some(wanted) if is_spoken => needed.max(wanted),
        None if needed > LONGEST => {
            return invalid(
                "scenes",
                format!("reading them takes {needed:.0} seconds, {LONGEST} are possible: shorten the texts"),
            );
        }
        None => needed.max(SHORTEST),
        Some(wanted) => {
            // Less than a tenth faster is not noticed.
            if needed > wanted * 1.1 {
                notes.push(VideoNote::FastToRead { comfortable_seconds: (needed * 10.0).round() / 10.0 });
            }
            wanted
        }
    };
    let fps = f64::from(spec.fps);
    let frames = (seconds * fps).round() as u32;
    if frames / u32::try_from(spec.scenes.len()).unwrap_or(1) < spec.fps / 2 {
        return invalid(
            "durationSeconds",
            "every scene needs half a second: take fewer scenes or more time".to_owned(),
        );
    }
    let mut starts = vec![0];
    let mut passed = 0.0;
    for share in comfortable.iter().take(comfortable.len() - 1) {
        passed += share;
        starts.push((passed / needed * seconds * fps).round() as u32);
    }
    let shortest = starts
        .windows(2)
        .map(|pair| pair.get(1).zip(pair.first()).map_or(0, |(b, a)| b - a))
        .min()
        .unwrap_or(frames);
    let shortest = shortest.min(frames - starts.last().copied().unwrap_or(0));
    let wanted = if spec.kind == VideoKind::Transition { 0.8 } else { 0.5 };
    let transition = ((wanted * fps).round() as u32).min(shortest / 3).max(1);
    let mut plan = Plan {
        fps: spec.fps,
        frames,
        texts,
        starts,
        spoken: spoken.to_vec(),
        transition,
        cues: Vec::new(),
        notes,
    };
    plan.cues = cues(&plan);
    Ok(plan)
}

/// The texts as they can be drawn.
fn texts(spec: &VideoSpec, left_out: &mut Vec<String>) -> Result<Vec<Option<String>>, VideoError> {
    let mut texts = Vec::with_capacity(spec.scenes.len());
    for scene in &spec.scenes {
        let Some(text) = &scene.text else {
            texts.push(None);
            continue;
        };
        if text.len() > SCENE_TEXT * 64 || text.graphemes(true).count() > SCENE_TEXT {
            let reason = format!("a text has more than {SCENE_TEXT} characters: make two scenes of it");
            return Err(VideoError::Invalid { field: "scenes", reason });
        }
        let clean = clean(text, Face::of(spec.brand.typeface, Voice::Display));
        if clean.missing > clean.text.graphemes(true).count() {
            let reason =
                format!("no embedded font has most of its characters ({})", clean.left_out.join(" "));
            return Err(VideoError::InsufficientInput { field: "scenes", reason });
        }
        for character in clean.left_out {
            if left_out.len() < 20 && !left_out.contains(&character) {
                left_out.push(character);
            }
        }
        let line = clean.text.split_whitespace().collect::<Vec<_>>().join(" ");
        texts.push(Some(line).filter(|line| !line.is_empty()));
    }
    Ok(texts)
}

/// The cues of all scenes: each scene's text in pieces, timed by their characters.
fn cues(plan: &Plan) -> Vec<Cue> {
    let mut cues = Vec::new();
    for (scene, text) in plan.texts.iter().enumerate() {
        let Some(text) = text else { continue };
        let pieces = captions::pieces(text);
        let (start, end) = plan.span(scene);
        // The text comes when the change of scenes is half over.
        let lead = if scene == 0 { plan.fps / 10 } else { plan.transition / 2 };
        let (first, last) = (plan.seconds(start + lead.min((end - start) / 4)), plan.seconds(end));
        // What is spoken is shown as long as it is heard, and a breath longer.
        let heard = plan.spoken.get(scene).copied().flatten();
        let last =
            heard.map_or(last, |heard| last.min(plan.seconds(start) + BEFORE_VOICE + heard + AFTER_VOICE));
        let room = last - first;
        let all: f64 = pieces.iter().map(|piece| count(piece) + 4.0).sum();
        let mut at = first;
        for (index, piece) in pieces.iter().enumerate() {
            let share = (count(piece) + 4.0) / all * room;
            let rest = pieces.len() - index;
            let least = CUE.min((last - at) / f64::from(u32::try_from(rest).unwrap_or(1)));
            let next = if rest == 1 { last } else { (at + share.max(least)).min(last) };
            let shown = (next - plan.seconds(GAP)).max(at + 1.0 / f64::from(plan.fps)).min(at + LONG_CUE);
            cues.push(Cue { scene, text: piece.clone(), start_seconds: at, end_seconds: shown });
            at = next;
        }
    }
    cues
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::videos::SceneSpec;

    fn spec(texts: &[&str]) -> VideoSpec {
        let scenes = texts
            .iter()
            .map(|text| SceneSpec { text: Some((*text).to_owned()), ..SceneSpec::default() })
            .collect();
        VideoSpec { scenes, ..VideoSpec::default() }
    }

    #[test]
    fn the_length_follows_the_text_and_the_language() {
        let text = "Ich nehme mir heute Zeit für das, was mir guttut, und lasse alles andere ruhig liegen.";
        let plan = plan(&spec(&[text]), &[]).unwrap();
        let expected = FINDING + count(text) / (920.0 / 60.0);
        assert!(
            (plan.seconds(plan.frames) - expected).abs() < 0.03,
            "{} {expected}",
            plan.seconds(plan.frames)
        );
        assert!(reading_seconds(text, Language::English) < reading_seconds(text, Language::German));
    }

    #[test]
    fn a_wanted_length_is_kept_and_a_rush_is_said() {
        let slow = VideoSpec { duration_seconds: Some(15.0), ..spec(&["Kurz."]) };
        let plan = super::plan(&slow, &[]).unwrap();
        assert_eq!((plan.frames, plan.notes.len()), (450, 0));
        let text = "Ein langer Text, der ganz bestimmt nicht in drei Sekunden gelesen werden kann, so sehr man sich auch beeilt.";
        let plan = super::plan(&VideoSpec { duration_seconds: Some(3.0), ..spec(&[text]) }, &[]).unwrap();
        assert_eq!(plan.frames, 90);
        assert!(matches!(plan.notes.as_slice(), [VideoNote::FastToRead { .. }]));
    }

    #[test]
    fn scenes_and_cues_are_in_order_without_overlap() {
        let long = "Erster Gedanke, der etwas länger ist als alle anderen; er wird geteilt, damit man ihn in Ruhe lesen kann. Zweiter Gedanke.";
        let plan = plan(&spec(&[long, "Kurz.", "Noch ein Satz, der passt."]), &[]).unwrap();
        assert!(plan.starts.is_sorted());
        assert!(plan.cues.len() >= 4, "{:?}", plan.cues);
        for pair in plan.cues.windows(2) {
            assert!(pair[0].end_seconds < pair[1].start_seconds + 1e-9, "{pair:?}");
        }
        for cue in &plan.cues {
            let length = cue.end_seconds - cue.start_seconds;
            assert!((0.6..=LONG_CUE + 1e-9).contains(&length), "{cue:?}");
            let (start, end) = plan.span(cue.scene);
            assert!(cue.start_seconds >= plan.seconds(start) && cue.end_seconds <= plan.seconds(end));
        }
        assert_eq!(
            plan.cues.iter().filter(|c| c.scene == 0).map(|c| c.text.as_str()).collect::<Vec<_>>().join(" "),
            long
        );
    }

    #[test]
    fn a_scene_lasts_until_it_has_been_spoken() {
        let texts = spec(&["Eins.", "Ein Satz, der eine Weile dauert.", "Und Schluss."]);
        let spoken = [Some(1.1), Some(6.5), None];
        for (wanted, length) in [(None, 11.2), (Some(3.0), 11.2), (Some(20.0), 20.0)] {
            let plan = plan(&VideoSpec { duration_seconds: wanted, ..texts.clone() }, &spoken).unwrap();
            assert!((plan.seconds(plan.frames) - length).abs() < 1.0, "{wanted:?} {}", plan.frames);
            assert_eq!(plan.notes, []);
            for (scene, seconds) in spoken.iter().enumerate() {
                let Some(seconds) = seconds else { continue };
                let (start, end) = plan.span(scene);
                assert!(plan.seconds(end - start) >= BEFORE_VOICE + seconds, "{scene}");
                let last = plan.cues.iter().rfind(|cue| cue.scene == scene).unwrap();
                let heard = plan.seconds(start) + BEFORE_VOICE + seconds;
                assert!(last.end_seconds >= heard && last.end_seconds <= heard + AFTER_VOICE, "{last:?}");
            }
        }
        for endless in [60.0, f64::INFINITY] {
            let refused = plan(&texts, &[Some(endless), None, None]).unwrap_err();
            assert!(refused.to_string().contains("spoken"), "{refused}");
        }
    }

    #[test]
    fn what_cannot_be_planned_is_refused() {
        let refused = |spec: VideoSpec| plan(&spec, &[]).unwrap_err();
        assert!(matches!(refused(VideoSpec::default()), VideoError::InsufficientInput { .. }));
        assert!(matches!(
            refused(VideoSpec { kind: VideoKind::Transition, ..spec(&["Eins."]) }),
            VideoError::InsufficientInput { .. }
        ));
        for seconds in [f64::NAN, 2.9, 61.0, f64::INFINITY, -1.0] {
            let wrong = VideoSpec { duration_seconds: Some(seconds), ..spec(&["Eins."]) };
            assert!(matches!(refused(wrong), VideoError::Invalid { field: "durationSeconds", .. }));
        }
        assert!(matches!(
            refused(VideoSpec { fps: 0, ..spec(&["a"]) }),
            VideoError::Invalid { field: "fps", .. }
        ));
        assert!(matches!(refused(spec(&["a"; SCENES + 1])), VideoError::Invalid { .. }));
        assert!(matches!(refused(spec(&["漢字漢字漢字"])), VideoError::InsufficientInput { .. }));
        assert!(matches!(refused(spec(&[&"x".repeat(1_000_000)])), VideoError::Invalid { .. }));
        let page = "Wort ".repeat(79);
        assert!(matches!(refused(spec(&[page.trim(); 10])), VideoError::Invalid { field: "scenes", .. }));
    }
}
