/** What the place Dữ liệu says of sources and layers: order, groups, words. Plain, so that it is tested without a window. */
import type { ConnectionTest, Freshness, Job, Language, LayerInfo, Role, SourceHealth } from '../../bridge'
import { formatDate, formatDateTime } from '../../shared/formats'
import { match } from '../../shared/fold'
import { language, t, tt } from '../../shared/i18n.svelte'
import { momentText, spanText } from '../../shared/words'

/** From what needs a person to what runs by itself. */
const BY_URGENCY: readonly Freshness[] = ['error', 'offline', 'stale', 'never', 'fresh']

/** A source whose server does not answer is disconnected, also when it never answered before. */
export const stateOf = (source: SourceHealth): Freshness => (source.link === 'lost' ? 'offline' : source.freshness)

/** What needs attention first, then by title in the desk's language. */
export function sortSources(sources: readonly SourceHealth[], by: Language): SourceHealth[] {
  const { compare } = new Intl.Collator(by)
  const urgency = (source: SourceHealth) => BY_URGENCY.indexOf(stateOf(source))
  return [...sources].sort((a, b) => urgency(a) - urgency(b) || compare(a.title[by], b.title[by]) || compare(a.id, b.id))
}

/** Those whose title, address or protocol hold the words; diacritics do not matter. */
export const filterSources = (sources: readonly SourceHealth[], text: string): SourceHealth[] =>
  sources.filter(({ title, url, protocol }) => match(`${tt(title)} ${url} ${t(`protocol.${protocol}`)}`, text) !== null)

/** How many sources are in each state; states without a source are left out. Good news first, as in the legend. */
export function countStates(sources: readonly SourceHealth[]): { state: Freshness; count: number }[] {
  return ([...BY_URGENCY].reverse() as Freshness[])
    .map((state) => ({ state, count: sources.filter((source) => stateOf(source) === state).length }))
    .filter(({ count }) => count > 0)
}

export interface LayerGroup {
  /** `null` holds the layers that no source fills. */
  source: SourceHealth | null
  layers: LayerInfo[]
}

/**
 * The layers under their sources, in the order given, and at the end those without one. A layer whose features and
 * readings come from two sources stands under both; a source without layers is left out.
 */
export function groupLayers(sources: readonly SourceHealth[], layers: readonly LayerInfo[]): LayerGroup[] {
  const groups: LayerGroup[] = sources.map((source) => ({ source, layers: layersOf(source, layers) }))
  const owned = new Set(sources.flatMap((source) => source.layers))
  groups.push({ source: null, layers: layers.filter((layer) => !owned.has(layer.id)) })
  return groups.filter((group) => group.layers.length > 0)
}

export const layersOf = (source: SourceHealth, layers: readonly LayerInfo[]): LayerInfo[] =>
  layers.filter((layer) => source.layers.includes(layer.id))

/** Whose content a layer holds now: a source's, the profile's, or an imported file's. */
export function originText(layer: LayerInfo, sources: readonly SourceHealth[]): string {
  if (layer.source === '') return t('data.from_nothing')
  if (layer.source === 'profile') return t('data.from_profile')
  const source = sources.find((source) => source.id === layer.source)
  if (source) return tt(source.title)
  // A source's id has no dot, a file's name has one.
  return layer.source.includes('.')
    ? t('data.from_import', { file: layer.source })
    : t('data.from_other', { source: layer.source })
}

/** A live layer's newest value with its time; the day of other content; `–` when it is not known. */
export function asOfText(layer: LayerInfo, zone: string): string {
  if (layer.live?.as_of) return formatDateTime(Date.parse(layer.live.as_of), zone)
  return layer.as_of ? formatDate(Date.parse(layer.as_of), zone) : '–'
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** How long ago, as people say it: `dưới 1 phút`, `5 phút`, `2 giờ 52 phút`, `14 ngày`. A clock ahead counts as now. */
export function ageText(ms: number): string {
  if (ms < MINUTE) return t('data.under_minute')
  const minutes = Math.floor((ms % HOUR) / MINUTE) * MINUTE
  if (ms < HOUR || ms >= DAY || minutes === 0) return spanText(ms)
  return `${spanText(ms)} ${spanText(minutes)}`
}

/** The sync that asks this source now, where it names one. */
export const jobOf = (source: string, jobs: readonly Job[]): Job | null =>
  syncJobs(jobs).find((job) => job.source === source) ?? null

/** Until when a source is left alone after many failures; `null` when it is not. */
export const restsUntil = ({ breaker, resting_until }: SourceHealth, now: number): string | null =>
  breaker === 'open' && resting_until !== null && Date.parse(resting_until) > now ? resting_until : null

/** When a source is asked again. The core names no time while it asks, or listens to a source that sends by itself. */
export function nextText(source: SourceHealth, jobs: readonly Job[], now: number, zone: string): string {
  if (jobOf(source.id, jobs)) return t('data.next_asking')
  if (source.paused) return t('data.next_paused')
  if (restsUntil(source, now) !== null) return t('data.next_resting')
  const next = source.next_run_at ?? source.next_try_at
  if (next === null) return t(source.protocol === 'sensorthings' && source.link === 'up' ? 'data.next_listens' : 'data.next_asking')
  if (Date.parse(next) <= now) return t('data.next_asking')
  const when = momentText(next, now, zone)
  return source.next_try_at === null ? when : t('data.next_retry', { when })
}

/** A pause, a rest or a probe: a word, and what it means and what to do; `null` while a source is asked as agreed. */
export function standText(source: SourceHealth, now: number, zone: string): { word: string; hint: string } | null {
  if (source.paused) return { word: t('data.paused'), hint: t('data.paused_hint') }
  const until = restsUntil(source, now)
  if (until !== null) return { word: t('data.resting', { when: momentText(until, now, zone) }), hint: t('data.resting_hint') }
  return source.breaker === 'closed' ? null : { word: t('data.probing'), hint: t('data.probing_hint') }
}

/** One sentence on what is wrong with a source; `null` when nothing is. */
export function troubleText(source: SourceHealth, now: number, zone: string): string | null {
  if (source.last_error !== null) return source.last_error
  if (source.link !== 'lost' || source.lost_at === null) return null
  return t('data.lost_when', { when: momentText(source.lost_at, now, zone) })
}

/** Why a sync cannot be asked for now; `null` when it can. */
export function syncBar(role: Role, jobs: readonly Job[]): string | null {
  if (role === 'guest') return t('data.sync_needs_role', { role: t('role.viewer') })
  return syncJobs(jobs).length > 0 ? t('data.sync_running') : null
}

/** Why a source cannot be removed by this person; `null` when it can. */
export const removeBar = (role: Role): string | null =>
  role === 'administrator' ? null : t('data.remove_needs_role', { role: t('role.administrator') })

/** Why a source's secret cannot be changed by this person; `null` when it can. */
export const secretBar = (role: Role): string | null =>
  role === 'administrator' ? null : t('login.needs_role', { role: t('role.administrator') })

/** The secret that this source alone names: it can go with it. */
export const ownSecret = (source: SourceHealth, sources: readonly SourceHealth[]): string | null => {
  const secret = source.login?.secret ?? null
  return sources.some(({ id, login }) => id !== source.id && login?.secret === secret) ? null : secret
}

/** Why a source cannot be paused or resumed by this person; `null` when it can. */
export const pauseBar = (role: Role): string | null =>
  role === 'administrator' ? null : t('data.pause_needs_role', { role: t('role.administrator') })

/** `Trả lời sau 120 ms, 9 lớp`, or why it cannot be used. */
export function testText({ took_ms, offers, error }: ConnectionTest): string {
  if (error !== null) return error
  return offers === null ? t('data.test_answered', { ms: took_ms }) : t('data.test_offers', { ms: took_ms, n: offers })
}

export const syncJobs = (jobs: readonly Job[]): Job[] => jobs.filter((job) => job.kind === 'sync')

/** `6 mới`, `1 mất kết nối`. */
export const countText = (state: Freshness, n: number): string =>
  t('data.count', { n, state: t(`freshness.${state}`).toLocaleLowerCase(language()) })

/** The row that a key leads to from the current one; `null` when the key is none of the table's. */
export function rowAfter(key: string, ids: readonly string[], current: string): string | null {
  const at = ids.indexOf(current)
  const to = { ArrowDown: Math.min(at + 1, ids.length - 1), ArrowUp: Math.max(at - 1, 0), Home: 0, End: ids.length - 1 }[key]
  return to === undefined ? null : (ids[to] ?? null)
}
