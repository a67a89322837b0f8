// Generated from the list of calls in the crate `desk`. Do not edit.
import type { AddSourceArgs } from './AddSourceArgs';
import type { AddedSource } from './AddedSource';
import type { AtArgs } from './AtArgs';
import type { CancelJobArgs } from './CancelJobArgs';
import type { ConnectionTest } from './ConnectionTest';
import type { DeleteViewArgs } from './DeleteViewArgs';
import type { FeatureDetail } from './FeatureDetail';
import type { FeatureRef } from './FeatureRef';
import type { FileArgs } from './FileArgs';
import type { ImportSummary } from './ImportSummary';
import type { LayerInfo } from './LayerInfo';
import type { MovedArgs } from './MovedArgs';
import type { NearArgs } from './NearArgs';
import type { NearHit } from './NearHit';
import type { NoArgs } from './NoArgs';
import type { Place } from './Place';
import type { PlaceArgs } from './PlaceArgs';
import type { QueryAnswer } from './QueryAnswer';
import type { QueryArgs } from './QueryArgs';
import type { ReadyArgs } from './ReadyArgs';
import type { RecogniseArgs } from './RecogniseArgs';
import type { Recognised } from './Recognised';
import type { RemoveSourceArgs } from './RemoveSourceArgs';
import type { SaveViewArgs } from './SaveViewArgs';
import type { SavedView } from './SavedView';
import type { SearchArgs } from './SearchArgs';
import type { SearchHit } from './SearchHit';
import type { Series } from './Series';
import type { SeriesArgs } from './SeriesArgs';
import type { Session } from './Session';
import type { SetPinArgs } from './SetPinArgs';
import type { SetSettingsArgs } from './SetSettingsArgs';
import type { Settings } from './Settings';
import type { SignInArgs } from './SignInArgs';
import type { SourcesInfo } from './SourcesInfo';
import type { Start } from './Start';
import type { SyncArgs } from './SyncArgs';
import type { TestSourceArgs } from './TestSourceArgs';
import type { Trial } from './Trial';
import type { TrySourceArgs } from './TrySourceArgs';

export interface Asks {
  start: { args: NoArgs; result: Start };
  layers: { args: NoArgs; result: Array<LayerInfo> };
  sources: { args: NoArgs; result: SourcesInfo };
  search: { args: SearchArgs; result: Array<SearchHit> };
  feature: { args: FeatureRef; result: FeatureDetail };
  near: { args: NearArgs; result: Array<NearHit> };
  series: { args: SeriesArgs; result: Series };
  place: { args: PlaceArgs; result: Place };
  at: { args: AtArgs; result: Array<NearHit> };
  query: { args: QueryArgs; result: QueryAnswer };
  views: { args: NoArgs; result: Array<SavedView> };
  moved: { args: MovedArgs; result: null };
}

export interface Acts {
  sign_in: { args: SignInArgs; result: Session };
  sign_out: { args: NoArgs; result: Session };
  set_pin: { args: SetPinArgs; result: null };
  set_settings: { args: SetSettingsArgs; result: Settings };
  save_view: { args: SaveViewArgs; result: Array<SavedView> };
  delete_view: { args: DeleteViewArgs; result: Array<SavedView> };
  sync: { args: SyncArgs; result: null };
  test_source: { args: TestSourceArgs; result: ConnectionTest };
  recognise: { args: RecogniseArgs; result: Recognised };
  try_source: { args: TrySourceArgs; result: Trial };
  add_source: { args: AddSourceArgs; result: AddedSource };
  remove_source: { args: RemoveSourceArgs; result: null };
  try_file: { args: FileArgs; result: Trial };
  import_file: { args: FileArgs; result: ImportSummary };
  cancel_job: { args: CancelJobArgs; result: null };
  ready: { args: ReadyArgs; result: null };
}
