//! Reads any JSON as every type of the four vendors: an object is always read, and what is written of it is stable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use servicebay::{fentu, fisikal, fixably, repairy};

macro_rules! check_all {
    ($body:ident, $($vendor:ident: $($name:ident)+;)+) => {
        let is_object = serde_json::from_slice::<Value>($body).is_ok_and(|value| value.is_object());
        $($(check::<$vendor::types::$name>($body, is_object);)+)+
    };
}

fuzz_target!(|body: &[u8]| {
    // Has a field that is required.
    let _ = serde_json::from_slice::<repairy::types::BookingCreated>(body);
    let _ = serde_json::from_slice::<fentu::Page<fentu::types::WorkOrderSummary>>(body);
    let _ = serde_json::from_slice::<fisikal::Page<fisikal::types::Location>>(body);
    let _ = serde_json::from_slice::<fixably::Page<fixably::types::Order>>(body);
    check_all! { body,
        fentu: Address Asset AssetSummary Branch Checklist Contact Customer CustomerReference CustomerSummary ErrorBody
            Object PageMeta PartLine Photo Product Task TaskSummary Technician WorkOrder WorkOrderSummary;
        fisikal: ActivityCategory AppSection AppliedPromocode Appointment ClientServicePackage Club ClubSettings Country
            CreditCard CreditTransaction Directory Discount ErrorBody ErrorItem GocardlessMandate HashedPermissions
            LinkedClient Location Money MoneyTransaction NotificationSetting NotificationSettingsSet Occurrence
            OpeningHours Order PaymentIntent PaymentLayout Profile Purchase Region Service ServiceCategory ServicePackage
            ServicePackageService ShippingAddress SpreedlyPage Tag TagCategory TimeSlot Trainer TrainerActivity User Video
            WalletSettings;
        fixably: Address Customer Device ErrorBody Location Order OrderContact OrderLine OrderNote OrderTask Party Product
            Queue Status StatusCustom Store User;
        repairy: Availability Booking Car CatalogItem Customer ErrorBody Quote ServiceReminder ServiceSelection;
    }
});

fn check<T: Serialize + DeserializeOwned>(body: &[u8], is_object: bool) {
    let value: T = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return assert!(!is_object, "{}: {error}", std::any::type_name::<T>()),
    };
    let written = serde_json::to_string(&value).expect("what was read can be written");
    let again: T = serde_json::from_slice(written.as_bytes()).unwrap_or_else(|error| panic!("{written}: {error}"));
    // Not the values: an object of which only the URL could be read is written as a link.
    assert_eq!(serde_json::to_string(&again).expect("it was written before"), written);
}
