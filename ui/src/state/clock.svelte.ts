/** A clock that ticks every few seconds, for ages and for what turns yesterday. Durations come from the core. */
const TICK_MS = 5_000
const clock = $state({ now: Date.now() })

export const now = (): number => clock.now

/** Starts ticking; returns what stops it. */
export function startClock(): () => void {
  const timer = setInterval(() => (clock.now = Date.now()), TICK_MS)
  return () => clearInterval(timer)
}
