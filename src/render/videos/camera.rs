//! Where the camera looks at a moment of a scene.

use super::VideoKind;

/// A view of a picture: how much it is enlarged, and where its middle stands in the room that leaves, −1 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct View {
    pub zoom: f64,
    pub x: f64,
    pub y: f64,
}

/// How far a picture with text may be enlarged: its margins must stay on the screen.
const WITH_TEXT: f64 = 1.06;

/// The largest enlargement that a kind uses.
pub(crate) fn reach(kind: VideoKind, with_text: bool) -> f64 {
    let reach: f64 = match kind {
        VideoKind::Slideshow | VideoKind::Transition => 1.0,
        VideoKind::KenBurns => 1.2,
        VideoKind::ZoomIn | VideoKind::ZoomOut => 1.5,
        VideoKind::Parallax => 1.25,
    };
    if with_text { reach.min(WITH_TEXT) } else { reach }
}

/// The view at a moment (0 to 1) of a scene; the turn changes the way from scene to scene.
pub(crate) fn view(kind: VideoKind, moment: f64, with_text: bool, turn: u64) -> View {
    let reach = reach(kind, with_text);
    let moment = gentle(moment);
    let still = View { zoom: 1.0, x: 0.0, y: 0.0 };
    match kind {
        VideoKind::Slideshow | VideoKind::Transition => still,
        VideoKind::ZoomIn => View { zoom: 1.0 + (reach - 1.0) * moment, ..still },
        VideoKind::ZoomOut => View { zoom: reach - (reach - 1.0) * moment, ..still },
        VideoKind::KenBurns => {
            // In and out alternate; the way across has four directions.
            let inwards = turn.is_multiple_of(2);
            let way = if inwards { moment } else { 1.0 - moment };
            let x = if (turn / 2).is_multiple_of(2) { 0.8 } else { -0.8 };
            let y = if (turn / 4).is_multiple_of(2) { 0.5 } else { -0.5 };
            View { zoom: 1.0 + (reach - 1.0) * way, x: x * way, y: y * way }
        }
        VideoKind::Parallax => View { zoom: reach, x: 0.0, y: 0.0 },
    }
}

/// Mostly even, with a soft start and end: a camera that has weight.
pub(crate) fn gentle(moment: f64) -> f64 {
    let moment = moment.clamp(0.0, 1.0);
    0.6 * moment + 0.4 * smooth(moment)
}

/// Slow, fast, slow.
pub(crate) fn smooth(moment: f64) -> f64 {
    let moment = moment.clamp(0.0, 1.0);
    moment * moment * (3.0 - 2.0 * moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_stays_within_the_picture_and_is_smooth() {
        for kind in [
            VideoKind::Slideshow,
            VideoKind::KenBurns,
            VideoKind::ZoomIn,
            VideoKind::ZoomOut,
            VideoKind::Parallax,
        ] {
            for turn in 0..8 {
                let mut last = view(kind, 0.0, false, turn);
                for step in 1..=300 {
                    let next = view(kind, f64::from(step) / 300.0, false, turn);
                    assert!((1.0..=1.5).contains(&next.zoom) && next.x.abs() <= 1.0 && next.y.abs() <= 1.0);
                    assert!((next.zoom - last.zoom).abs() < 0.004 && (next.x - last.x).abs() < 0.006);
                    last = next;
                }
            }
        }
        assert!((view(VideoKind::ZoomIn, 1.0, false, 0).zoom - 1.5).abs() < 1e-9);
        assert!((view(VideoKind::ZoomOut, 1.0, false, 0).zoom - 1.0).abs() < 1e-9);
        assert!(view(VideoKind::ZoomIn, 1.0, true, 0).zoom <= WITH_TEXT);
    }
}
