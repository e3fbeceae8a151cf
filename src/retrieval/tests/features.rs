//! Writes down what each piece shows of each question of the tuning sets: what `tests/evaluation/fit` fits the weights to.

use std::fs;
use std::ops::Range;
use std::path::Path;

use serde_json::{Value, json};

use super::super::answer::{names_the_same, read, with_list};
use super::super::{Format, rank};
use super::memory::Memory;

/// Where they are written.
const FILE: &str = "target/features.jsonl";

/// A stretch of a document that holds an answer, in characters.
type Span = (u128, Range<usize>);

fn plain(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn strings(value: &Value) -> Vec<String> {
    let one = value.as_str().into_iter();
    one.chain(value.as_array().into_iter().flatten().filter_map(Value::as_str)).map(str::to_owned).collect()
}

#[test]
#[ignore = "a tool of tests/evaluation/fit"]
fn are_written() {
    let sets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/evaluation");
    let mut lines = String::new();
    for set in ["set-1", "set-2"] {
        let mut memory = Memory::default();
        let mut names = Vec::new();
        for entry in fs::read_dir(sets.join(set).join("documents")).unwrap() {
            let path = entry.unwrap().path();
            let is_plain = path.extension().is_some_and(|extension| extension == "txt");
            let format = if is_plain { Format::Plain } else { Format::Markdown };
            let title = path.file_stem().unwrap().to_str().unwrap();
            memory.add(title, &fs::read_to_string(&path).unwrap(), format);
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        let questions = fs::read_to_string(sets.join(set).join("questions.json")).unwrap();
        for asked in serde_json::from_str::<Vec<Value>>(&questions).unwrap() {
            if asked["crossLanguage"] != true {
                lines += &shown(&memory, &names, &asked).to_string();
                lines += "\n";
            }
        }
    }
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(FILE), lines).unwrap();
}

/// What the pieces show of a question, the best first, and which of them are right.
fn shown(memory: &Memory, names: &[String], asked: &Value) -> Value {
    let (_, plan, candidates, statistics) = memory.search(asked["question"].as_str().unwrap());
    let ranked = rank(&plan, &candidates, &statistics);
    let read = read(&ranked);
    let documents = strings(&asked["document"]);
    let place = |name: &String| names.iter().position(|other| other == name).map(|at| at as u128);
    let spans: Vec<Span> = strings(&asked["evidence"])
        .iter()
        .flat_map(|evidence| {
            documents.iter().filter_map(place).filter_map(move |document| {
                let text = &memory.documents[usize::try_from(document).unwrap()].1;
                let start = text[..text.find(evidence.as_str())?].chars().count();
                Some((document, start..start + evidence.chars().count()))
            })
        })
        .collect();
    let groups: Vec<Vec<String>> =
        asked["answerContains"].as_array().into_iter().flatten().map(strings).collect();
    let pieces: Vec<Value> = read
        .iter()
        .map(|one| {
            let (candidate, piece) = (one.ranked.candidate, one.piece);
            let quote =
                plain(&candidate.text[with_list(plan.asks, piece, &one.ranked.pieces, &candidate.text)]);
            let in_document =
                documents.iter().filter_map(place).any(|document| document == candidate.document);
            let says = groups.iter().all(|group| group.iter().any(|text| quote.contains(&plain(text))));
            let start = candidate.start + candidate.text[..piece.bytes.start].chars().count();
            let end = start + candidate.text[piece.bytes.clone()].chars().count();
            let overlaps = |(document, span): &Span| {
                *document == candidate.document && start < span.end && span.start < end
            };
            json!({
                "features": piece.features.to_vec(),
                "coverage": piece.coverage,
                "met": piece.met,
                "gap": piece.gap,
                "right": in_document && !groups.is_empty() && says,
                "near": spans.iter().any(overlaps),
                "fits": names_the_same(&plan, &ranked, one),
            })
        })
        .collect();
    let group = strings(&asked["document"]).into_iter().chain(strings(&asked["near"])).next();
    json!({
        "answerable": asked["answerable"],
        "group": group,
        "yes or no": plan.asks == super::super::Asks::YesNo,
        "pieces": pieces,
    })
}
