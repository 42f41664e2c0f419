use super::*;

fn draws(instance: u64) -> Draws {
    Draws::new(11, "image test", instance)
}

/// A file whose two sectors durably hold `a`s.
fn two_sectors() -> FileImage {
    FileImage::durable(vec![b'a'; 2 * SECTOR])
}

#[test]
fn reads_see_writes_that_are_not_synced() {
    let mut image = two_sectors();
    image.write(3, b"xyz");
    let mut buffer = [0; 5];
    assert_eq!(image.read(2, &mut buffer), 5);
    assert_eq!(&buffer, b"axyza");
}

#[test]
fn a_read_past_the_end_is_short() {
    let image = FileImage::durable(b"abc".to_vec());
    let mut buffer = [0; 8];
    assert_eq!(image.read(1, &mut buffer), 2);
    assert_eq!(image.read(3, &mut buffer), 0);
    assert_eq!(image.read(99, &mut buffer), 0);
}

#[test]
fn losing_all_returns_to_the_last_sync() {
    let mut image = two_sectors();
    image.write(0, b"synced");
    image.sync();
    image.write(0, b"lost!!");
    image.write(4 * SECTOR, b"far");
    image.resize(7);
    let sectors = image.cut_power(Unsynced::LoseAll, &mut draws(0));
    assert_eq!(&image.content()[..6], b"synced");
    assert_eq!(image.len(), 2 * SECTOR);
    assert_eq!((sectors.kept, sectors.torn), (0, 0));
    assert!(sectors.dropped > 2);
}

#[test]
fn keeping_all_is_a_sync() {
    let mut image = two_sectors();
    image.write(10, b"kept");
    image.resize(100);
    image.write(200, b"end");
    let before = image.content().to_vec();
    image.cut_power(Unsynced::KeepAll, &mut draws(0));
    assert_eq!(image.content(), before);
}

#[test]
fn a_sync_after_shrinking_and_growing_leaves_zeros_in_between() {
    let mut image = two_sectors();
    image.resize(0);
    image.write(600, b"x");
    image.sync();
    image.cut_power(Unsynced::LoseAll, &mut draws(0));
    assert_eq!(image.len(), 601);
    assert!(image.content()[..600].iter().all(|byte| *byte == 0));
}

#[test]
fn a_mixed_cut_leaves_each_sector_old_new_or_torn_between() {
    let (mut kept, mut dropped, mut torn) = (0, 0, 0);
    for instance in 0..500 {
        let mut image = two_sectors();
        image.write(0, &[b'b'; 2 * SECTOR]);
        let sectors = image.cut_power(Unsynced::Mixed, &mut draws(instance));
        for sector in image.content().chunks(SECTOR) {
            let new = sector.iter().take_while(|byte| **byte == b'b').count();
            assert!(sector[new..].iter().all(|byte| *byte == b'a'), "neither old nor new");
        }
        kept += sectors.kept;
        dropped += sectors.dropped;
        torn += sectors.torn;
    }
    assert_eq!(kept + dropped + torn, 1000);
    assert!(kept > 300 && dropped > 300 && torn > 20, "kept {kept}, dropped {dropped}, torn {torn}");
}

#[test]
fn a_sector_never_holds_a_later_write_without_an_earlier_one() {
    for instance in 0..500 {
        let mut image = two_sectors();
        image.write(0, b"1");
        image.write(1, b"2");
        image.write(2, b"3");
        image.cut_power(Unsynced::Mixed, &mut draws(instance));
        let sector = &image.content()[..3];
        assert!([b"aaa", b"1aa", b"12a", b"123"].iter().any(|possible| sector == *possible), "impossible: {sector:?}");
    }
}

#[test]
fn a_mixed_cut_ends_at_a_length_that_the_file_had() {
    let mut lens = std::collections::BTreeSet::new();
    for instance in 0..300 {
        let mut image = two_sectors();
        image.resize(0);
        image.write(0, &[b'n'; 100]);
        image.write(100, &[b'n'; 50]);
        image.cut_power(Unsynced::Mixed, &mut draws(instance));
        lens.insert(image.len());
    }
    assert_eq!(lens.into_iter().collect::<Vec<_>>(), [0, 100, 150, 2 * SECTOR]);
}

#[test]
fn a_hole_may_hold_garbage() {
    let garbage = (0..200).any(|instance| {
        let mut image = FileImage::default();
        image.write(0, &[0; 4 * SECTOR]);
        image.cut_power(Unsynced::Mixed, &mut draws(instance));
        image.content().iter().any(|byte| *byte != 0)
    });
    assert!(garbage);
}

#[test]
fn what_a_failed_sync_lost_no_later_sync_brings_back() {
    let mut lost = 0;
    for instance in 0..100 {
        let mut image = two_sectors();
        image.write(0, &[b'b'; 2 * SECTOR]);
        image.fail_sync(&mut draws(instance));
        assert_eq!(image.content(), [b'b'; 2 * SECTOR], "readers see the cache");
        image.sync();
        image.cut_power(Unsynced::KeepAll, &mut draws(instance));
        lost += u32::from(image.content().contains(&b'a'));
    }
    assert!(lost > 50, "lost {lost} of 100");
}

#[test]
fn rot_hits_the_medium_too_and_a_sync_does_not_heal_it() {
    let mut image = two_sectors();
    image.write(5, b"z");
    assert!(image.flip_bit(5, 0));
    assert!(image.flip_bit(600, 7));
    image.sync();
    image.cut_power(Unsynced::LoseAll, &mut draws(0));
    assert_eq!(image.content()[5], b'z' ^ 1);
    assert_eq!(image.content()[600], b'a' ^ 0x80);
    assert!(!image.flip_bit(2 * SECTOR, 0));
}

#[test]
fn a_file_that_is_never_synced_is_written_back_in_order() {
    let mut image = FileImage::default();
    for n in 0..10 * UNSYNCED_MAX {
        image.write(n * 8, &n.to_le_bytes());
    }
    assert!(image.unsynced.len() <= UNSYNCED_MAX && image.log.len() <= UNSYNCED_MAX * 8);
    let all = image.content().to_vec();
    let mut lost = image.clone();
    lost.cut_power(Unsynced::LoseAll, &mut draws(0));
    assert!(lost.len() < all.len() && all.starts_with(lost.content()));
    image.cut_power(Unsynced::KeepAll, &mut draws(0));
    assert_eq!(image.content(), all);
}
