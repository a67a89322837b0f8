/** The last runs of a source: how they ended, as bars and in words, and what the log says of each. */
import type { Freshness, LayerRun, Run, RunOutcome, SourceHealth } from '../../bridge'
import { formatNumber, NBSP } from '../../shared/formats'
import { language, t } from '../../shared/i18n.svelte'
import { spanText } from '../../shared/words'

export type RunEnd = RunOutcome

export const SHOWN = 24

/** Height of a bar as a part of the whole: the shape tells the end without its colour. */
export const HEIGHTS: Readonly<Record<RunEnd, number>> = { changed: 1, unchanged: 1, partly: 0.6, cancelled: 0.4, failed: 1 }

/** The newest 24, oldest first; `null` where there was no run yet. */
export const barsOf = (runs: readonly RunEnd[]): (RunEnd | null)[] => [
  ...Array.from({ length: Math.max(0, SHOWN - runs.length) }, () => null), ...runs.slice(-SHOWN),
]

/** `24 lần gần nhất: 21 tốt, 2 một phần, 1 lỗi`. */
export function runsText(runs: readonly RunEnd[]): string {
  const last = runs.slice(-SHOWN)
  if (last.length === 0) return t('runs.none')
  const count = (...ends: RunEnd[]) => last.filter((end) => ends.includes(end)).length
  return t('runs.summary', {
    n: last.length, good: count('changed', 'unchanged'), partly: count('partly', 'cancelled'), failed: count('failed'),
  })
}

/** The mark of an end. */
export const MARKS: Readonly<Record<RunEnd, Freshness>> = {
  changed: 'fresh', unchanged: 'fresh', partly: 'stale', failed: 'error', cancelled: 'never',
}

/** Changes with every run that ended. The last ends alone may stay the same; the time of the next run moves on. */
export const runsKey = ({ runs, next_run_at }: SourceHealth): string => `${runs.join()} ${next_run_at ?? ''}`

/** `850 ms`, `2,4 s`, `48 giây`. */
export function tookText({ started_at, ended_at }: Pick<Run, 'started_at' | 'ended_at'>): string {
  const ms = Math.max(0, Date.parse(ended_at) - Date.parse(started_at))
  if (ms < 1_000) return `${formatNumber(ms, 0, language())}${NBSP}ms`
  return ms < 10_000 ? `${formatNumber(ms / 1_000, 1, language())}${NBSP}s` : spanText(ms)
}

type Counts = Pick<LayerRun, 'received' | 'accepted' | 'rejected' | 'added' | 'changed' | 'removed'>

/** `nhận 120, dùng 118, loại 2`. */
export const cameText = ({ received, accepted, rejected }: Counts): string =>
  t('runs.came', { received, accepted, rejected })

/** `thêm 3, sửa 2, mất 1`; `không đổi` where there is nothing of it. */
export const changedText = ({ added, changed, removed }: Counts): string =>
  added + changed + removed === 0 ? t('runs.no_change') : t('runs.changes', { added, changed, removed })

/** A run in one line: its error, or what it brought. */
export function briefText(run: Run): string {
  if (run.failure) return run.failure.message
  if (run.outcome === 'unchanged' || run.received === 0) return t(`run_end.${run.outcome}`)
  return `${cameText(run)}; ${changedText(run)}`
}
