import { decodeBatch, type LiveBatch } from './batch'
import type { Acts, Asks, Event, Failure } from './types'

/** What the core pushes without being asked. */
export interface Watcher {
  event(event: Event): void
  live(batch: LiveBatch): void
  /** A message that could not be read; the window and the core do not match. */
  unreadable(reason: string): void
}

/** Files dragged over the window, dropped on it, or taken away again. */
export interface FileDrag {
  state: 'over' | 'dropped' | 'gone'
  /** Where they lie; empty for `gone`. */
  paths: string[]
}

/** The core, as the window sees it. */
export interface Core {
  /** Base of the tile scheme, without a trailing slash. */
  readonly tilesBase: string
  ask<K extends keyof Asks>(call: K, args: Asks[K]['args']): Promise<Asks[K]['result']>
  act<K extends keyof Acts>(call: K, args: Acts[K]['args']): Promise<Acts[K]['result']>
  watch(watcher: Watcher): Promise<void>
  /** Lets the person choose one file; its path, or null when they think better of it. */
  pickFile(title: string): Promise<string | null>
  /** Tells of files dragged here; resolves to what ends the telling. */
  onFiles(listener: (drag: FileDrag) => void): Promise<() => void>
}

/** A call that failed. `code` is stable, `message` is a sentence in the desk's language. */
export class CallFailed extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message)
    this.name = 'CallFailed'
  }
  get code(): string {
    return this.failure.code
  }
}

/** Whatever a rejected call carried, as a failure with a code. */
export function failureOf(reason: unknown): Failure {
  if (reason instanceof CallFailed) return reason.failure
  if (typeof reason === 'object' && reason !== null && 'code' in reason && 'message' in reason) {
    const { code, message } = reason
    if (typeof code === 'string' && typeof message === 'string') {
      const where = 'where' in reason && typeof reason.where === 'object' && reason.where !== null ? reason.where : {}
      return { code, message, where: where as Failure['where'] }
    }
  }
  return { code: 'bridge', message: reason instanceof Error ? reason.message : String(reason), where: {} }
}

const EVENT = 0
const LIVE = 1

/** Reads one message of the watch channel: the first byte says what follows. */
export function receive(message: ArrayBuffer | Uint8Array | number[], watcher: Watcher): void {
  const bytes = message instanceof Uint8Array ? message : new Uint8Array(message)
  const body = bytes.subarray(1)
  try {
    if (bytes[0] === EVENT) watcher.event(JSON.parse(new TextDecoder().decode(body)) as Event)
    else if (bytes[0] === LIVE) watcher.live(decodeBatch(body))
    else watcher.unreadable(`message of kind ${bytes[0]}`)
  } catch (error) {
    watcher.unreadable(error instanceof Error ? error.message : String(error))
  }
}
