//! The bytes of snapshots that real Flink wrote, so that whoever reads the fake's finds them whole.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::settings::{Format, Version};

/// The name of the file that makes a directory a snapshot.
pub(super) const METADATA: &str = "_metadata";
/// Where `_metadata` has its checkpoint id: after a magic number and the layout's version.
const CHECKPOINT_ID: usize = 8;

/// A recorded snapshot.
#[derive(Debug)]
pub(super) struct Recorded {
    metadata: &'static [u8],
    /// Its state files: names relative to its directory, and bytes.
    pub files: &'static [(&'static str, &'static [u8])],
}

impl Recorded {
    /// What Flink of this version writes: a savepoint in a format, or a checkpoint.
    pub fn of(version: Version, format: Option<Format>) -> &'static Self {
        match (version, format) {
            (Version::V1_20, Some(Format::Canonical)) => &V1_20_CANONICAL,
            (Version::V1_20, Some(Format::Native)) => &V1_20_NATIVE,
            (Version::V1_20, None) => &V1_20_CHECKPOINT,
            (Version::V2_3, Some(Format::Canonical)) => &V2_3_CANONICAL,
            (Version::V2_3, Some(Format::Native)) => &V2_3_NATIVE,
            (Version::V2_3, None) => &V2_3_CHECKPOINT,
        }
    }

    /// `_metadata`, with the checkpoint id that this one has here.
    pub fn metadata(&self, id: i64) -> Bytes {
        let (head, rest) = self.metadata.split_at(CHECKPOINT_ID);
        let (_, tail) = rest.split_at(size_of::<i64>());
        let mut bytes = BytesMut::with_capacity(self.metadata.len());
        bytes.put_slice(head);
        bytes.put_i64(id);
        bytes.put_slice(tail);
        bytes.freeze()
    }

    /// Bytes of state.
    pub fn size(&self) -> usize {
        self.files.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

/// The checkpoint id in a `_metadata`, if it is one.
pub(super) fn checkpoint_id(metadata: &[u8]) -> Option<i64> {
    let id = metadata.get(CHECKPOINT_ID..CHECKPOINT_ID + size_of::<i64>())?;
    metadata.starts_with(&[0x49, 0x60, 0x67, 0x2d]).then(|| id.try_into().map(i64::from_be_bytes).ok()).flatten()
}

macro_rules! recorded {
    ($directory:literal: $($file:literal)*) => {
        Recorded {
            metadata: include_bytes!(concat!("../../../tests/fixtures/flink/snapshots/", $directory, "/_metadata")),
            files: &[$(
                ($file, include_bytes!(concat!("../../../tests/fixtures/flink/snapshots/", $directory, "/", $file))),
            )*],
        }
    };
}

static V1_20_CANONICAL: Recorded = recorded!("1.20.5/hashmap-savepoint-canonical":
    "245ddcc8-6505-40bc-b31e-24f1e95bcd39"
    "4f169539-6ff1-4591-8dc5-9de029e58755"
    "4fa9a283-51c2-4115-97c8-df0f4781cf4c"
    "5187ae63-8440-4118-afa6-e1c6e8ea7b54"
    "7fb2e006-fd01-49ad-af9f-35be3e5645fa"
    "966e7e37-f80c-476a-bd44-7048ca6ad59a"
    "ae337231-0656-416c-bce6-66a124284eda"
    "e85aed48-ef7a-4a7b-9610-d8393d670752"
);

static V1_20_NATIVE: Recorded = recorded!("1.20.5/hashmap-savepoint-native":
    "2bc8c833-f163-4a81-9f4f-4309f6836763"
    "356497cd-1a2d-48b2-a44b-5937040ecb57"
    "3cb6dadf-e6bf-4965-afc1-03528f0a2b96"
    "5b306a75-bc70-4559-84d8-3e44f63689d5"
    "6f67b788-ba33-485f-97e3-3de985c15648"
    "95fc6368-f88e-4a72-9a61-f4b730186bf0"
    "c7d0c6d7-3718-4f16-9645-6e61607bb2af"
    "cc78b745-def4-4ccb-9bab-08274323ffb6"
);

static V1_20_CHECKPOINT: Recorded = recorded!("1.20.5/hashmap-checkpoint":
    "0afd37d5-eb19-4106-b903-cd7dd4feda31"
    "2773985f-4bf1-4e26-a2a6-3001d9ff2588"
    "2a00d268-92fe-436f-af08-a8155164cca9"
    "2f679bd5-242b-43b5-9495-aebbe02c1696"
    "35c3cf36-2777-4e92-ab35-8a27c65d6fdd"
    "cd78bda5-8067-4c60-9752-1a3ec573771e"
    "ed57c0a7-3260-4e06-9b81-82bbe05505a7"
    "fbeea05a-07e0-41d6-b9c0-ab2ca1722c46"
);

static V2_3_CANONICAL: Recorded = recorded!("2.3.0/hashmap-savepoint-canonical":
    "2c6d4650-faa0-4566-8ab6-dbbb272367d2"
    "30b71270-33ee-4d1c-af68-59ec21dfe3dc"
    "32593ff4-5cf9-4da4-9e9f-00a8cfa1673f"
    "548e1dc3-9e04-45af-8882-b1ee22a0bfac"
    "610dab29-d278-442e-84e3-fb4ca54c7d2e"
    "aef91ea9-29be-459f-b193-a107855bbb77"
    "c456ab2b-a5dd-4b8d-bb04-41007d6d3d8f"
    "cc302de7-472b-4e99-9a29-b928ce0cfa28"
);

static V2_3_NATIVE: Recorded = recorded!("2.3.0/hashmap-savepoint-native":
    "1bbab2f8-60a9-47fe-b0a5-b54df6fef4bf"
    "36e157d8-c018-48ee-9197-d75648d115d7"
    "45be2625-9b86-41b4-8006-0d06bfb890df"
    "7bba628c-59f1-4013-b712-8c303ebfada3"
    "bcaeae0b-41b9-4178-b0b9-326711b36d1b"
    "bd04cd9e-8401-4d9c-a5f4-119ac77c2dc4"
    "d59aaf2f-8993-41e1-8cd1-101f7bfead62"
    "f274edf0-0c04-4a1e-999b-4b08cfd57075"
);

static V2_3_CHECKPOINT: Recorded = recorded!("2.3.0/mixed-checkpoint":
    "363867c3-b575-4f66-962a-f8af677bf297"
    "7744864b-648a-4223-b098-77e7d390e04c"
    "7ac0eace-2ba0-497d-a350-6583b4fbdbd2"
    "838f3604-6e00-4eba-9d18-def4a3ab025f"
    "a70fc00d-2ce5-4f2c-bc1d-aca10b54cd5c"
    "a7e2906d-8e5c-4b8b-b5a3-83ca8af48165"
    "aefc99c5-f9ae-4672-ba8c-46fd141014f7"
    "f49f93d6-b2d9-419d-9d5b-7c98a22d9365"
);
