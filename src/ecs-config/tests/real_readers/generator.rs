//! Files that readers disagree about, the same on every run.

use fastrand::Rng;

const NAMES: [&[u8]; 12] = [
    b"K",
    b"K",
    b"A",
    b"ECS_CLUSTER",
    b"_x9",
    b"  K",
    b"K ",
    b"export K",
    b"# K",
    b";K",
    b"a-b",
    b"1a",
];

/// What lines and values are made of.
const PIECES: [&[u8]; 64] = [
    b"K=v\n",
    b"ECS_CLUSTER=prod\n",
    b"A=1\n",
    b"B={\"a\":\"b\"}\n",
    b"# text\n",
    b"\n",
    b"PRESENT\n",
    b"ABSENT\n",
    b"\n",
    b"true",
    b"\n",
    b"\n",
    b"v",
    b" ",
    b"{\"a\":\"b\"}",
    b"v",
    b"_X9",
    b"v",
    b"a b",
    b"2",
    b"true",
    b"[\"json-file\"]",
    b"=v",
    b"PRESENT",
    b"K=\"v\"\n",
    b"K='v'\n",
    b"\"",
    b"\"",
    b"'",
    b"'",
    b"\\",
    b"\\",
    b"\\\n",
    b"#",
    b"#",
    b";",
    b"\t",
    b"  ",
    b"\r",
    b"\r\n",
    b"export ",
    b"# note \\\n",
    b"# K=old\n",
    b"$X",
    b"`",
    b"${Y}",
    b"%i",
    b"a-b=1\n",
    b"1a=2\n",
    b": ",
    b"\x0b",
    b"\x0c",
    b"\x1b",
    b"\x7f",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xc2\xa0",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xe3\x80\x80",
    b"\xc3\xa9",
    b"\xff",
    b"\xe2\x80",
    b"\xef\xb7\x90",
];

/// The pieces from this one on are rare: most make some reader reject the whole file.
const DEADLY: usize = 54;

pub(crate) fn files(count: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..count as u64).map(|seed| file(&mut Rng::with_seed(seed)))
}

/// Each file draws from its own small box of pieces: so quotes meet quotes, and not every file has
/// something of everything.
fn file(rng: &mut Rng) -> Vec<u8> {
    let pieces: Vec<&[u8]> = (0..rng.usize(2..10)).map(|_| piece(rng)).collect();
    let names = &NAMES[..if rng.u8(..3) == 0 { NAMES.len() } else { 6 }];
    let wild = rng.u8(..4) == 0;
    let mut file: Vec<u8> =
        (0..rng.usize(1..24)).flat_map(|_| part(rng, names, &pieces, wild)).collect();
    match rng.u8(..) {
        0..16 => file.splice(..0, *b"\xef\xbb\xbf").for_each(drop),
        16..20 => file.extend(
            [b"\nLONG=".as_slice(), &b"x".repeat(rng.usize(65_525..65_535)), b"\n"].concat(),
        ),
        20..24 => file = file.into_iter().flat_map(|c| [c, 0]).collect(),
        _ => {}
    }
    file
}

/// One assignment with a value of some pieces; in wild files mostly pieces without order.
fn part(rng: &mut Rng, names: &[&[u8]], pieces: &[&[u8]], wild: bool) -> Vec<u8> {
    let any = |rng: &mut Rng| pieces[rng.usize(..pieces.len())];
    if wild && rng.u8(..4) != 0 {
        return any(rng).to_vec();
    }
    let value: Vec<&[u8]> = (0..rng.usize(..4)).map(|_| any(rng)).collect();
    [names[rng.usize(..names.len())], b"=", &value.concat(), b"\n"].concat()
}

fn piece(rng: &mut Rng) -> &'static [u8] {
    let end = if rng.u8(..10) == 0 { PIECES.len() } else { DEADLY };
    PIECES[rng.usize(..end)]
}
