//! Tests of whole slides.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the numbers of tests are small"
)]

use proptest::prelude::*;

use super::*;

const TEXT: &str = "Ich gehe meinen Weg mit ruhiger Kraft und vertraue dem, was in mir wächst.";

fn spec(template: Template) -> VisualSpec {
    VisualSpec {
        body: Some(TEXT.to_owned()),
        attribution: Some("Mira Hölzl".to_owned()),
        period: Some(PeriodMark { name: "Veränderung".to_owned(), color: Color::new(0x21, 0x96, 0xF3) }),
        template,
        ..VisualSpec::default()
    }
}

/// The slides with what was measured, without writing files.
fn drawn(spec: &VisualSpec, pictures: &Pictures<'_>) -> Vec<(Scene, Rendered)> {
    let composed = compose(spec, pictures).unwrap();
    composed.slides.into_iter().map(|(scene, _)| (scene.clone(), render(&scene, pictures).unwrap())).collect()
}

fn picture(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Picture {
    let rgba = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            let [r, g, b] = pixel(x, y);
            [r, g, b, 255]
        })
        .collect();
    Picture::new(width, height, rgba).unwrap()
}

/// Pictures that are hard to write on.
fn hard_pictures() -> Vec<(&'static str, Picture)> {
    let noise = |x: u32, y: u32| {
        (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503).wrapping_mul(x | 1)).to_be_bytes()
    };
    vec![
        ("white", picture(64, 64, |_, _| [255, 255, 255])),
        ("black", picture(64, 64, |_, _| [0, 0, 0])),
        ("grey", picture(64, 64, |_, _| [119, 119, 119])),
        (
            "checks",
            picture(600, 600, |x, y| if (x / 50 + y / 50) % 2 == 0 { [255, 250, 240] } else { [10, 10, 20] }),
        ),
        ("noise", picture(600, 600, |x, y| [noise(x, y)[0], noise(x, y)[1], noise(y, x)[2]])),
    ]
}

const TEMPLATES: [Template; 5] = [
    Template::Minimal,
    Template::Dramatic,
    Template::Gradient,
    Template::QuoteCard,
    Template::PeriodBranding,
];

#[test]
fn every_text_is_readable_on_every_picture() {
    for (name, background) in &hard_pictures() {
        let pictures = Pictures { background: Some(background), logo: None };
        for template in TEMPLATES {
            let spec = VisualSpec {
                background: Background::Picture { credit: Some("Ana Lind".to_owned()) },
                format: VisualFormat::Link,
                ..spec(template)
            };
            for (_, rendered) in drawn(&spec, &pictures) {
                assert_eq!(rendered.blocks.len(), 4, "{name} {template:?}");
                for block in rendered.blocks {
                    assert!(block.contrast >= block.required_contrast, "{name} {template:?} {block:?}");
                }
            }
        }
    }
}

#[test]
fn every_text_is_readable_on_every_colour() {
    for color in [
        "#DAA520", "#2196F3", "#F44336", "#FFD700", "#CC0066", "#4CAF50", "#9C27B0", "#808080", "#000000",
        "#FFFFFF",
    ] {
        let color: Color = color.parse().unwrap();
        let backgrounds = [
            Background::Template,
            Background::Solid { color: Some(color) },
            Background::Solid { color: None },
            Background::Gradient {
                from: Some(color),
                to: Some(Color::new(255 - color.r, 255 - color.g, 255 - color.b)),
                angle: 30.0,
            },
            Background::Gradient { from: None, to: None, angle: 62.0 },
            Background::Pattern { pattern: Pattern::Dots, color: Some(color) },
            Background::Noise { colors: vec![color, Color::WHITE, Color::BLACK] },
        ];
        for (index, background) in backgrounds.into_iter().enumerate() {
            let template = TEMPLATES[(index + usize::from(color.g)) % TEMPLATES.len()];
            let spec = VisualSpec {
                period: Some(PeriodMark { name: "Energie".to_owned(), color }),
                background,
                format: VisualFormat::Link,
                ..spec(template)
            };
            for (_, rendered) in drawn(&spec, &Pictures::default()) {
                for block in rendered.blocks {
                    assert!(block.contrast >= block.required_contrast, "{color} {template:?} {block:?}");
                }
            }
        }
    }
}

#[test]
fn texts_fit_and_keep_to_the_safe_area_in_every_format() {
    for format in [VisualFormat::Post, VisualFormat::Story, VisualFormat::Square, VisualFormat::Link] {
        for template in TEMPLATES {
            for (headline, body) in
                [(None, TEXT), (Some("Vertrauen wächst"), TEXT), (Some("Donaudampfschifffahrt"), "Kurz.")]
            {
                let spec = VisualSpec {
                    headline: headline.map(str::to_owned),
                    body: Some(body.to_owned()),
                    format,
                    ..spec(template)
                };
                let (width, height) = format.size();
                for (_, rendered) in drawn(&spec, &Pictures::default()) {
                    assert_eq!((rendered.picture.width(), rendered.picture.height()), (width, height));
                    for block in rendered.blocks {
                        assert!(!block.overflow && block.in_safe_area, "{format:?} {template:?} {block:?}");
                        assert!(block.font_size >= 17.0, "{format:?} {template:?} {block:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_headline_stays_larger_than_the_body() {
    let long = "Ein Satz mit einigen Wörtern darin. ".repeat(16);
    let spec = VisualSpec { headline: Some("Ruhe".to_owned()), body: Some(long), ..spec(Template::Minimal) };
    let blocks = drawn(&spec, &Pictures::default()).remove(0).1.blocks;
    let size = |role| blocks.iter().find(|block| block.role == role).unwrap().font_size;
    assert!(size(Role::Headline) > 1.6 * size(Role::Body));
    assert!(size(Role::Body) >= 29.0);
}

#[test]
fn a_series_is_cut_at_sentences_with_one_size_of_type() {
    let body = "Ruhe ist kein Luxus. Sie ist die Zeit, in der dein Körper repariert. Wer z. B. zehn Minuten still sitzt, schläft besser. Fang heute an.";
    let spec = VisualSpec {
        headline: Some("Was Ruhe mit dir macht".to_owned()),
        body: Some(body.to_owned()),
        slides: Some(4),
        ..spec(Template::Minimal)
    };
    let post = create(&spec, &Pictures::default()).unwrap();
    assert_eq!(post.slides.len(), 4);
    let texts: Vec<&str> = post.slides[1..]
        .iter()
        .map(|slide| slide.blocks.iter().find(|block| block.role == Role::Body).unwrap().text.as_str())
        .collect();
    assert_eq!(texts.join(" "), body);
    let sizes: Vec<f32> = post.slides[1..]
        .iter()
        .map(|slide| slide.blocks.iter().find(|block| block.role == Role::Body).unwrap().font_size)
        .collect();
    assert!(sizes.windows(2).all(|pair| (pair[0] - pair[1]).abs() <= 1.0), "{sizes:?}");
    let signed = |slide: &Slide| slide.blocks.iter().any(|block| block.role == Role::Attribution);
    assert_eq!(post.slides.iter().map(signed).collect::<Vec<_>>(), [false, false, false, true]);
    assert!(post.slides[0].alt_text.starts_with("Bild 1 von 4: Was Ruhe mit dir macht."));
    let few = VisualSpec { slides: Some(9), ..spec };
    let post = compose(&few, &Pictures::default()).unwrap();
    assert_eq!(post.slides.len(), 5);
    assert!(post.notes.contains(&Note::FewerSlides { wanted: 9, made: 5 }));
}

#[test]
fn each_line_may_be_a_slide_of_its_own() {
    let lines = ["Ich schlafe ruhig. Ich wache erholt auf.", "Ich vertraue meiner Arbeit.", "Ich lache oft."];
    let text = format!("{}\n\n{}\n  {}\n", lines[0], lines[1], lines[2]);
    let spec = VisualSpec { body: Some(text), slide_per_line: true, ..spec(Template::Minimal) };
    let said = |spec: &VisualSpec| -> Vec<String> {
        let slides = create(spec, &Pictures::default()).unwrap().slides;
        let text = |slide: Slide| {
            slide
                .blocks
                .into_iter()
                .find(|block| matches!(block.role, Role::Headline | Role::Body))
                .unwrap()
                .text
        };
        slides.into_iter().map(text).collect()
    };
    assert_eq!(said(&spec), lines);
    let under = VisualSpec { headline: Some("Drei Sätze".to_owned()), ..spec.clone() };
    assert_eq!(said(&under), ["Drei Sätze", lines[0], lines[1], lines[2]]);
    let one = VisualSpec { body: Some(lines[1].to_owned()), ..spec.clone() };
    assert_eq!(said(&one), [lines[1]]);
    let many = |headline: Option<&str>, count: usize| VisualSpec {
        headline: headline.map(str::to_owned),
        body: Some("Ruhe.\n".repeat(count)),
        ..spec.clone()
    };
    for (spec, fits) in [(many(None, 10), true), (many(None, 11), false), (many(Some("Ruhe"), 10), false)] {
        match compose(&spec, &Pictures::default()) {
            Ok(composed) => assert!(fits && composed.slides.len() == 10 && composed.notes.is_empty()),
            Err(error) => {
                assert!(!fits && matches!(error, VisualError::Invalid { field: "body", .. }), "{error}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_shortened_and_said() {
    let body = "Viele Worte sind manchmal viel zu viele Worte für ein kleines Bild. ".repeat(40);
    let spec = VisualSpec { body: Some(body), format: VisualFormat::Link, ..spec(Template::QuoteCard) };
    let post = create(&spec, &Pictures::default()).unwrap();
    assert!(post.notes.contains(&Note::Shortened));
    let block = post.slides[0].blocks.iter().find(|block| block.role == Role::Body).unwrap();
    assert!(block.overflow && block.text.ends_with('…'));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let spec = spec(Template::Dramatic);
    let (a, b) = (create(&spec, &Pictures::default()).unwrap(), create(&spec, &Pictures::default()).unwrap());
    assert!(a == b);
    let other = create(&VisualSpec { seed: 1, ..spec }, &Pictures::default()).unwrap();
    assert!(a.slides[0].png != other.slides[0].png);
}

#[test]
fn a_scene_can_be_edited_and_drawn_again() {
    let (scene, rendered) = drawn(&spec(Template::Minimal), &Pictures::default()).remove(0);
    let json = serde_json::to_string(&scene).unwrap();
    let mut edited: Scene = serde_json::from_str(&json).unwrap();
    assert!(render(&edited, &Pictures::default()).unwrap() == rendered);
    for layer in &mut edited.layers {
        if let scene::Layer::Text(text) = layer
            && text.role == Role::Body
        {
            text.text = "Neu.".to_owned();
            text.color = Color::WHITE;
        }
    }
    let again = render(&edited, &Pictures::default()).unwrap();
    let block = again.blocks.iter().find(|block| block.role == Role::Body).unwrap();
    assert_eq!(block.text, "Neu.");
    assert!(block.contrast < block.required_contrast, "white on a pale background is reported: {block:?}");
}

#[test]
fn what_is_missing_or_wrong_is_refused() {
    let refused = |spec: VisualSpec| compose(&spec, &Pictures::default()).unwrap_err();
    assert!(matches!(refused(VisualSpec::default()), VisualError::InsufficientInput { field: "text", .. }));
    let blank = VisualSpec { body: Some(" \n\0 ".to_owned()), ..VisualSpec::default() };
    assert!(matches!(refused(blank), VisualError::InsufficientInput { field: "text", .. }));
    let chinese =
        VisualSpec { body: Some("漢字だけの文章です".to_owned()), ..VisualSpec::default() };
    let error = refused(chinese).to_string();
    assert!(error.contains('漢') && error.contains("Latin"), "{error}");
    let picture = VisualSpec { background: Background::Picture { credit: None }, ..spec(Template::Minimal) };
    assert!(matches!(refused(picture), VisualError::InsufficientInput { field: "background", .. }));
    for (field, wrong) in [
        ("headline", VisualSpec { headline: Some("x".repeat(HEADLINE + 1)), ..VisualSpec::default() }),
        ("body", VisualSpec { body: Some("x".repeat(1_000_000)), ..VisualSpec::default() }),
        ("slides", VisualSpec { slides: Some(0), ..spec(Template::Minimal) }),
        ("slides", VisualSpec { slides: Some(11), ..spec(Template::Minimal) }),
        (
            "background.angle",
            VisualSpec {
                background: Background::Gradient { from: None, to: None, angle: f32::NAN },
                ..spec(Template::Minimal)
            },
        ),
    ] {
        match refused(wrong) {
            VisualError::Invalid { field: found, .. } => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[test]
fn characters_without_a_glyph_are_listed_and_emoji_are_explained() {
    let spec =
        VisualSpec { body: Some("Guten Morgen, liebe Welt 漢 🌱!".to_owned()), ..spec(Template::Minimal) };
    let composed = compose(&spec, &Pictures::default()).unwrap();
    assert!(composed.notes.contains(&Note::CharactersLeftOut { characters: vec!["漢".to_owned()] }));
    assert!(composed.notes.contains(&Note::EmojiInOneColor));
    assert!(!composed.slides[0].1.contains('漢'), "the alt text says what is drawn");
}

#[test]
fn nasty_texts_do_no_harm() {
    let stacked = format!("Z{}", "\u{300}\u{316}".repeat(400));
    let unbroken = "Wörterohneleerzeichen".repeat(100);
    let lines = "a\n".repeat(1_400);
    let nasty = [
        "\0",
        "a\0b",
        "\u{202E}abc\u{202C}",
        "שלום عليكم abc 123",
        &stacked,
        &unbroken,
        &lines,
        "👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 👍🏽",
        "\u{AD}\u{200B}\u{200D}",
        "…",
        "—",
        "ﷺﷺﷺ",
        "\u{FFFD}\u{E000}x",
        "A\u{2028}B\u{2029}C",
        "é́́",
        "\u{10FFFF}ok ok ok ok",
        "<script>alert(1)</script>",
        "%s{}{0}",
    ];
    for (index, text) in nasty.iter().enumerate() {
        let mut spec = VisualSpec {
            body: Some((*text).to_owned()),
            attribution: Some((*text).chars().take(40).collect()),
            format: VisualFormat::Link,
            slides: if index % 2 == 0 { None } else { Some(1) },
            ..spec(TEMPLATES[index % TEMPLATES.len()])
        };
        if index % 3 == 0 {
            spec.headline = Some(text.chars().take(60).collect());
        }
        if let Ok(composed) = compose(&spec, &Pictures::default()) {
            let (scene, alt) = &composed.slides[0];
            render(scene, &Pictures::default()).unwrap();
            assert!(!alt.contains('\0') && alt.chars().count() <= 20_000);
        }
    }
}

#[test]
fn a_logo_that_would_drown_gets_a_plate() {
    let mut dark = picture(200, 80, |_, _| [20, 20, 30]).rgba().to_vec();
    dark.iter_mut().skip(3).step_by(8).for_each(|alpha| *alpha = 0);
    let logo = Picture::new(200, 80, dark).unwrap();
    let pictures = Pictures { background: None, logo: Some(&logo) };
    let plates = |template| {
        let (scene, _) = drawn(&VisualSpec { period: None, ..spec(template) }, &pictures).remove(0);
        let at = scene
            .layers
            .iter()
            .position(|l| matches!(l, scene::Layer::Picture { slot: scene::Slot::Logo, .. }))
            .unwrap();
        matches!(scene.layers[at - 1], scene::Layer::Panel { radius, .. } if radius > 14.0)
    };
    assert!(plates(Template::Dramatic));
    assert!(!plates(Template::Minimal));
}

/// Slides that stand for all, against small stored copies.
///
/// What counts is how a slide looks: rounding may differ from processor to processor, a moved line or another colour may
/// not. `UPDATE=1` rewrites the copies.
#[test]
fn slides_look_like_their_stored_copies() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/visuals/goldens");
    let hills = picture(800, 1000, |x, y| {
        let ridge = 500.0 + 60.0 * (x as f32 / 90.0).sin() + 25.0 * (x as f32 / 31.0).cos();
        if y as f32 > ridge {
            [46, 84, 66]
        } else {
            [250 - (y / 8) as u8, 214 - (y / 9) as u8, 170 + (y / 14) as u8]
        }
    });
    let mut cases: Vec<(String, VisualSpec)> =
        TEMPLATES.iter().map(|template| (template.id().to_owned(), spec(*template))).collect();
    cases.push((
        "picture".to_owned(),
        VisualSpec {
            background: Background::Picture { credit: Some("Ana Lind".to_owned()) },
            ..spec(Template::Gradient)
        },
    ));
    cases.push((
        "editorial".to_owned(),
        VisualSpec {
            brand: BrandKit { typeface: Typeface::Editorial, ..BrandKit::default() },
            format: VisualFormat::Square,
            ..spec(Template::QuoteCard)
        },
    ));
    cases.push((
        "scripts".to_owned(),
        VisualSpec {
            body: Some("Łódź žluť; Φως; Свет; שלום (1); سلام; 🌱".to_owned()),
            format: VisualFormat::Link,
            brand: BrandKit { typeface: Typeface::Serif, ..BrandKit::default() },
            ..spec(Template::Dramatic)
        },
    ));
    for (name, spec) in cases {
        let pictures = Pictures {
            background: matches!(spec.background, Background::Picture { .. }).then_some(&hills),
            logo: None,
        };
        let picture = drawn(&spec, &pictures).remove(0).1.picture;
        let whole = super::picture::Area {
            left: 0.0,
            top: 0.0,
            width: f64::from(picture.width()),
            height: f64::from(picture.height()),
        };
        let small = super::picture::resize(
            &picture,
            whole,
            picture.width() / 12,
            picture.height() / 12,
            super::picture::Filter::Sharp,
        )
        .unwrap();
        let path = format!("{folder}/{name}.png");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, encode::png(&small).unwrap()).unwrap();
        }
        let stored = decode(&std::fs::read(&path).unwrap(), &picture::Limits::default()).unwrap();
        let difference = difference(&small, &stored);
        assert!(difference < 1.5, "{name} looks different: {difference}");
    }
}

/// How different two small pictures look: the largest mean difference of lightness and colour (in `OKLab`, hundredths)
/// over squares of six pixels; a just noticeable difference is about 2.
fn difference(a: &Picture, b: &Picture) -> f32 {
    if (a.width(), a.height()) != (b.width(), b.height()) {
        return f32::INFINITY;
    }
    let color = |picture: &Picture, x: u32, y: u32| {
        let pixel = &picture.rgba()[((y * picture.width() + x) * 4) as usize..][..3];
        Color::new(pixel[0], pixel[1], pixel[2]).oklab()
    };
    let mut worst = 0.0_f32;
    for top in (0..a.height()).step_by(6) {
        for left in (0..a.width()).step_by(6) {
            let (mut sum, mut count) = (0.0, 0.0_f32);
            for y in top..(top + 6).min(a.height()) {
                for x in left..(left + 6).min(a.width()) {
                    let (p, q) = (color(a, x, y), color(b, x, y));
                    sum += p.iter().zip(q).map(|(p, q)| (p - q).powi(2)).sum::<f32>().sqrt();
                    count += 1.0;
                }
            }
            worst = worst.max(100.0 * sum / count);
        }
    }
    worst
}

/// Whatever is within its bounds, the hard ends of them above all.
fn any_scene() -> impl Strategy<Value = Scene> {
    let ends = |least: f32, most: f32| prop_oneof![Just(least), Just(most), least..=most];
    let rect = move || {
        let place = || ends(-10_000.0, 10_000.0);
        let length = || ends(0.0, 10_000.0);
        (place(), place(), length(), length())
            .prop_map(|(x, y, width, height)| Rect::new(x, y, width, height))
    };
    let color = || any::<[u8; 3]>().prop_map(|[r, g, b]| Color::new(r, g, b));
    let share = move || ends(0.0, 1.0);
    let stop =
        (share(), color(), share()).prop_map(|(at, color, opacity)| scene::Stop { at, color, opacity });
    let border = (color(), ends(0.0, 10_000.0)).prop_map(|(color, width)| scene::Border { color, width });
    let pattern = prop_oneof![
        Just(Pattern::Dots),
        Just(Pattern::Rings),
        Just(Pattern::Waves),
        Just(Pattern::Rays),
        Just(Pattern::Pebbles)
    ];
    let voice =
        prop_oneof![Just(fonts::Voice::Display), Just(fonts::Voice::Text), Just(fonts::Voice::Ornament)];
    let words = prop_oneof![
        Just(String::new()),
        Just("Donaudampfschifffahrtsgesellschaft ".repeat(20)),
        Just("👩‍👩‍👧 שלום ابجد\n\n\n".repeat(9)),
        ".{0,80}".prop_map(|text: String| text),
    ];
    let numbers = (ends(4.0, 1_000.0), ends(0.5, 4.0), ends(-0.2, 1.0), any::<bool>());
    let text = (words, rect(), numbers, voice, color()).prop_map(
        |(text, rect, (size, leading, tracking, hyphenate), voice, color)| {
            Layer::Text(scene::TextLayer {
                role: Role::Body,
                text,
                rect,
                size,
                leading,
                voice,
                color,
                align: Align::Center,
                anchor: Anchor::Bottom,
                hyphenate,
                tracking,
            })
        },
    );
    let layer = prop_oneof![
        (color(), share()).prop_map(|(color, opacity)| Layer::Fill { color, opacity }),
        (ends(-10_000.0, 10_000.0), prop::collection::vec(stop, 2..8))
            .prop_map(|(angle, stops)| Layer::Gradient { angle, stops }),
        (color(), prop::collection::vec(color(), 1..8), any::<u64>())
            .prop_map(|(base, colors, seed)| Layer::Clouds { base, colors, seed }),
        (pattern, color(), share(), any::<u64>())
            .prop_map(|(pattern, color, opacity, seed)| Layer::Pattern { pattern, color, opacity, seed }),
        (rect(), ends(0.0, 10_000.0)).prop_map(|(rect, radius)| {
            let rect =
                Rect { width: rect.width.clamp(1.0, 900.0), height: rect.height.clamp(1.0, 900.0), ..rect };
            Layer::Picture { slot: Slot::Background, rect, radius }
        }),
        (rect(), ends(0.0, 10_000.0), color(), share(), prop::option::of(border), any::<bool>()).prop_map(
            |(rect, radius, color, opacity, border, shadow)| {
                Layer::Panel { rect, radius, color, opacity, border, shadow }
            }
        ),
        (rect(), ends(0.0, 10_000.0), color(), share())
            .prop_map(|(rect, feather, color, opacity)| Layer::Scrim { rect, feather, color, opacity }),
        text.clone(),
        text,
    ];
    (64..200_u32, 64..200_u32, prop::collection::vec(layer, 0..8)).prop_map(|(width, height, layers)| Scene {
        width,
        height,
        typeface: Typeface::Serif,
        language: crate::Language::German,
        safe: Rect::new(0.0, 0.0, 64.0, 64.0),
        layers,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_within_bounds_is_drawn(scene in any_scene()) {
        let background = picture(40, 30, |_, _| [200, 30, 30]);
        let pictures = Pictures { background: Some(&background), logo: None };
        scene.check().unwrap();
        let drawn = finish(scene.clone(), alt::of_scene(&scene, Some((1, 2))), &pictures).unwrap();
        prop_assert_eq!((drawn.width, drawn.height), (scene.width, scene.height));
        prop_assert!(drawn.alt_text.chars().count() <= 40 * alt::ALT_TEXT);
        prop_assert!(drawn.blocks.iter().all(|block| (1.0..=21.1).contains(&block.contrast)), "{:?}", drawn.blocks);
        let read: Scene = serde_json::from_str(&serde_json::to_string(&scene).unwrap()).unwrap();
        prop_assert_eq!(read, scene);
    }
}

#[test]
fn a_scene_says_what_its_texts_say_and_what_is_wrong_with_them() {
    for template in TEMPLATES {
        for format in [VisualFormat::Post, VisualFormat::Link] {
            let background = picture(1200, 1350, |_, _| [200, 30, 30]);
            let pictures = Pictures { background: Some(&background), logo: None };
            let spec = VisualSpec {
                headline: Some("Ein 🌱 für 漢".to_owned()),
                slides: Some(2),
                background: Background::Picture { credit: Some("Ana Lind".to_owned()) },
                format,
                ..spec(template)
            };
            let composed = compose(&spec, &pictures).unwrap();
            let count = composed.slides.len();
            for (at, (scene, said)) in composed.slides.iter().enumerate() {
                assert_eq!(&alt::of_scene(scene, Some((at + 1, count))), said, "{template:?}");
            }
            assert!(composed.notes.contains(&Note::CharactersLeftOut { characters: vec!["漢".to_owned()] }));
            // What cannot be drawn is not in a composed scene any more; in an edited one it may be again.
            let (mut scene, _) = composed.slides[0].clone();
            assert_eq!(notes([(&scene, &[][..])]), [Note::EmojiInOneColor]);
            for layer in &mut scene.layers {
                if let Layer::Text(text) = layer {
                    text.text.push('漢');
                }
            }
            let told = notes([(&scene, &[][..])]);
            assert!(
                told.contains(&Note::CharactersLeftOut { characters: vec!["漢".to_owned()] }),
                "{told:?}"
            );
        }
    }
}
