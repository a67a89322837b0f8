//! The one list of calls: from it come the dispatch, the role check and the TypeScript.

use crate::Desk;
use crate::api::{
    AddedSource, BasemapInfo, ConnectionTest, Failure, FeatureDetail, FeatureRef, FileArgs, KeptSecret, LayerInfo,
    NearHit, Place, PreloadPlan, Recognised, RecognisedBasemap, RejectedFile, Run, SavedView, SearchHit, Series,
    Settings, SourcesInfo, Start, Trial,
};
use crate::args::{
    AddBasemapArgs, AddSourceArgs, AtArgs, BasemapArgs, CancelJobArgs, ChooseBasemapArgs, DeleteViewArgs,
    ForgetSecretArgs, KeepSecretArgs, MovedArgs, NearArgs, NoArgs, PauseArgs, PlaceArgs, PreloadBasemapArgs, QueryArgs,
    ReadyArgs, RecogniseArgs, RejectedArgs, RemoveSourceArgs, RunsArgs, SaveViewArgs, SearchArgs, SeriesArgs,
    SetPinArgs, SetSettingsArgs, SignInArgs, SyncArgs, TestSourceArgs, TrySourceArgs,
};
use crate::import::ImportSummary;
use crate::query::QueryAnswer;
use model::{Role, Session};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

macro_rules! calls {
    ($($kind:ident $name:ident($args:ty) -> $result:ty, $role:ident, $method:ident;)*) => {
        /// The least role a call needs; `None` for a call nobody knows.
        pub fn least_role(kind: Kind, call: &str) -> Option<Role> {
            match (kind, call) {
                $((Kind::$kind, stringify!($name)) => Some(Role::$role),)*
                _ => None,
            }
        }

        async fn dispatch(desk: &Arc<Desk>, kind: Kind, call: &str, args: &RawValue) -> Result<Box<RawValue>, Failure> {
            match (kind, call) {
                $((Kind::$kind, stringify!($name)) => {
                    let args: $args = serde_json::from_str(args.get())
                        .map_err(|error| desk.failure("bad_arguments", [("call", call), ("detail", &error.to_string())]))?;
                    let result: $result = desk.$method(args).await?;
                    to_raw_value(&result)
                        .map_err(|error| desk.failure("bad_answer", [("call", call), ("detail", &error.to_string())]))
                })*
                _ => Err(desk.failure("unknown_call", [("call", call)])),
            }
        }

        /// Writes the TypeScript of every shape that crosses the bridge, and the list of calls, into a folder.
        ///
        /// # Errors
        /// When a file cannot be written.
        #[cfg(feature = "ts")]
        pub fn write_typescript(dir: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
            use std::collections::BTreeSet;
            use std::fmt::Write;
            use ts_rs::TS;
            let config = ts_rs::Config::new().with_out_dir(dir).with_large_int("number");
            let mut names = BTreeSet::new();
            let (mut asks, mut acts) = (String::new(), String::new());
            $(
                <$args>::export_all(&config)?;
                names.insert(<$args>::name(&config));
                crate::typescript::export::<$result>(&config, &mut names)?;
                let list = match Kind::$kind { Kind::Ask => &mut asks, Kind::Act => &mut acts };
                writeln!(list, "  {}: {{ args: {}; result: {} }};", stringify!($name), <$args>::name(&config), <$result>::name(&config))?;
            )*
            crate::api::Event::export_all(&config)?;
            live::FeatureState::export_all(&config)?;
            // They come only in lists, and a list has no file of its own.
            SearchHit::export_all(&config)?;
            NearHit::export_all(&config)?;
            Run::export_all(&config)?;
            RejectedFile::export_all(&config)?;
            BasemapInfo::export_all(&config)?;
            crate::typescript::write_calls(dir, &names, &asks, &acts)
        }
    };
}

/// Reading or changing: a wall's window holds only [`Kind::Ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ask,
    Act,
}

calls! {
    Ask start(NoArgs) -> Start, Guest, start;
    Ask layers(NoArgs) -> Vec<LayerInfo>, Guest, list_layers;
    Ask sources(NoArgs) -> SourcesInfo, Guest, list_sources;
    Ask search(SearchArgs) -> Vec<SearchHit>, Guest, search;
    Ask feature(FeatureRef) -> FeatureDetail, Guest, feature;
    Ask near(NearArgs) -> Vec<NearHit>, Guest, near;
    Ask series(SeriesArgs) -> Series, Guest, series;
    Ask place(PlaceArgs) -> Place, Guest, place;
    Ask at(AtArgs) -> Vec<NearHit>, Guest, at;
    Ask query(QueryArgs) -> QueryAnswer, Guest, query_call;
    Ask views(NoArgs) -> Vec<SavedView>, Guest, list_views;
    Ask moved(MovedArgs) -> (), Guest, moved;
    Ask source_runs(RunsArgs) -> Vec<Run>, Guest, source_runs;
    Ask rejected(RejectedArgs) -> Vec<RejectedFile>, Viewer, list_rejected;
    Act sign_in(SignInArgs) -> Session, Guest, sign_in;
    Act sign_out(NoArgs) -> Session, Guest, sign_out;
    Act set_pin(SetPinArgs) -> (), Administrator, set_pin;
    Act set_settings(SetSettingsArgs) -> Settings, Guest, set_settings;
    Act save_view(SaveViewArgs) -> Vec<SavedView>, Viewer, save_view;
    Act delete_view(DeleteViewArgs) -> Vec<SavedView>, Viewer, delete_view;
    Act sync(SyncArgs) -> (), Viewer, sync_now;
    Act test_source(TestSourceArgs) -> ConnectionTest, Viewer, test_source;
    Act recognise(RecogniseArgs) -> Recognised, Administrator, recognise;
    Act try_source(TrySourceArgs) -> Trial, Administrator, try_source;
    Act add_source(AddSourceArgs) -> AddedSource, Administrator, add_source;
    Act remove_source(RemoveSourceArgs) -> (), Administrator, remove_source;
    Act try_file(FileArgs) -> Trial, Administrator, try_file;
    Act import_file(FileArgs) -> ImportSummary, Administrator, import_file;
    Act cancel_job(CancelJobArgs) -> (), Viewer, cancel_job;
    Act ready(ReadyArgs) -> (), Guest, note_ready;
    Act keep_secret(KeepSecretArgs) -> KeptSecret, Administrator, keep_secret;
    Act forget_secret(ForgetSecretArgs) -> (), Administrator, forget_secret;
    Act pause_source(PauseArgs) -> (), Administrator, pause_source;
    Ask basemaps(NoArgs) -> Vec<BasemapInfo>, Guest, list_basemaps;
    Act choose_basemap(ChooseBasemapArgs) -> Settings, Guest, choose_basemap;
    Act recognise_basemap(RecogniseArgs) -> RecognisedBasemap, Administrator, recognise_basemap;
    Act add_basemap(AddBasemapArgs) -> BasemapInfo, Administrator, add_basemap;
    Act remove_basemap(BasemapArgs) -> (), Administrator, remove_basemap;
    Act clear_basemap(BasemapArgs) -> (), Administrator, clear_basemap_call;
    Act preload_basemap(PreloadBasemapArgs) -> PreloadPlan, Viewer, preload_basemap;
}

/// Runs one call for the person at the desk: checks the role, reads the arguments, answers with JSON.
///
/// # Errors
/// A [`Failure`] with a stable code: `unknown_call`, `role_needed`, `bad_arguments`, or the call's own.
pub async fn call(desk: &Arc<Desk>, kind: Kind, name: &str, args: &RawValue) -> Result<Box<RawValue>, Failure> {
    if let Some(least) = least_role(kind, name) {
        desk.require(least, name)?;
    }
    dispatch(desk, kind, name, args).await
}
