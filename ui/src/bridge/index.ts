/**
 * The only door to the core. Types are generated from the Rust (`generated/`), calls are `ask` (reads) and `act`
 * (changes), and what moves comes through `watch`. Nobody else imports @tauri-apps.
 */
import { CallFailed, type Core } from './client'
import { tauriCore } from './tauri'

export * from './batch'
export { CallFailed, type Core, failureOf, type FileDrag, type Watcher } from './client'
export type * from './types'

/** The core of this window: Tauri's, or while developing in a plain browser the replay. */
export async function connect(): Promise<Core> {
  if ('__TAURI_INTERNALS__' in window && !(import.meta.env.DEV && location.search.includes('replay'))) return tauriCore()
  if (import.meta.env.DEV) return (await import('./replay/replay')).replayCore()
  throw new CallFailed({ code: 'no_core', message: 'The window runs outside of Toàn Cảnh.', where: {} })
}
