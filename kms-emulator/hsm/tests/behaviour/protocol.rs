//! The encoding on any bytes.

use proptest::prelude::*;
use strongroom_hsm::wire::{Aad, Members, ShortText};
use strongroom_hsm::{Command, KeyHandle, Label, Password, Plaintext, Response, Role, UserName};

fn commands() -> impl Strategy<Value = Vec<u8>> {
    let bytes = |max: usize| proptest::collection::vec(any::<u8>(), 0..max);
    let name = "[A-Za-z0-9_]{1,31}".prop_map(|name| UserName::parse(&name).unwrap());
    let secret = "[ -~]{0,64}".prop_map(|text| Password::new(&text).unwrap().expose().to_vec());
    prop_oneof![
        Just(Command::Info.encode().to_vec()),
        (name, secret).prop_map(|(name, secret)| {
            let password = Password::new(std::str::from_utf8(&secret).unwrap()).unwrap();
            let role = Role::CryptoUser;
            Command::Login { role, name, password, second_factor: None }.encode().to_vec()
        }),
        (any::<u32>(), bytes(300), bytes(300)).prop_map(|(handle, aad, text)| {
            Command::Seal {
                handle: KeyHandle(handle),
                aad: Aad::new(aad).unwrap(),
                plaintext: Plaintext::new(&text).unwrap(),
            }
            .encode()
            .to_vec()
        }),
        ".{0,30}".prop_map(|label| {
            Command::FindKeys { label: Label::new(label).ok() }.encode().to_vec()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for decoded in [
            Command::decode(&bytes).ok().map(|command| command.encode().to_vec()),
            Response::decode(&bytes).ok().map(|response| response.encode().to_vec()),
        ].into_iter().flatten() {
            // What decodes has one encoding.
            prop_assert_eq!(&decoded, &bytes);
        }
    }

    #[test]
    fn commands_read_back(bytes in commands()) {
        let read = Command::decode(&bytes).ok().map(|command| command.encode().to_vec());
        prop_assert_eq!(read, Some(bytes));
    }

    #[test]
    fn cut_or_lengthened_commands_are_refused(bytes in commands(), cut in any::<prop::sample::Index>()) {
        prop_assert!(Command::decode(&bytes[..cut.index(bytes.len())]).is_err());
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(Command::decode(&longer).is_err());
    }
}

#[test]
fn a_huge_count_allocates_nothing() {
    // FindKeys with a label that claims 4 GiB.
    let bytes = [0x20, 1, 0xff, 0xff, 0xff, 0xff];
    assert!(Command::decode(&bytes).is_err());
}

#[test]
fn members_are_bounded() {
    let members = |count| Members::new(vec![ShortText::new("127.0.0.1").unwrap(); count]);
    assert!(members(28).is_ok());
    assert!(members(29).is_err());
}
