//! stub
use crate::Desk;
use crate::api::*;
use crate::args::*;
use crate::import::ImportSummary;
use std::sync::Arc;
impl Desk {
    pub(crate) async fn test_source(self: &Arc<Self>, _args: TestSourceArgs) -> Result<ConnectionTest, Failure> { todo!() }
    pub(crate) async fn recognise(self: &Arc<Self>, _args: RecogniseArgs) -> Result<Recognised, Failure> { todo!() }
    pub(crate) async fn try_source(self: &Arc<Self>, _args: TrySourceArgs) -> Result<Trial, Failure> { todo!() }
    pub(crate) async fn add_source(self: &Arc<Self>, _args: AddSourceArgs) -> Result<AddedSource, Failure> { todo!() }
    pub(crate) async fn remove_source(self: &Arc<Self>, _args: RemoveSourceArgs) -> Result<(), Failure> { todo!() }
    pub(crate) async fn try_file(self: &Arc<Self>, _args: FileArgs) -> Result<Trial, Failure> { todo!() }
    pub(crate) async fn import_file(self: &Arc<Self>, _args: FileArgs) -> Result<ImportSummary, Failure> { todo!() }
}
