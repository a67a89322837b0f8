import { Channel, convertFileSrc, invoke } from '@tauri-apps/api/core'
import { getCurrentWebview } from '@tauri-apps/api/webview'
import { open } from '@tauri-apps/plugin-dialog'
import { CallFailed, type Core, failureOf, receive } from './client'
import type { Acts, Asks } from './types'

async function call<T>(command: 'ask' | 'act', name: string, args: object): Promise<T> {
  try {
    return await invoke<T>(command, { call: name, args })
  } catch (reason) {
    throw new CallFailed(failureOf(reason))
  }
}

/** The core behind Tauri's two commands, its watch channel and its tile scheme; files by the system's own dialog. */
export function tauriCore(): Core {
  return {
    tilesBase: convertFileSrc('', 'tiles').replace(/\/$/, ''),
    ask: <K extends keyof Asks>(name: K, args: Asks[K]['args']) => call<Asks[K]['result']>('ask', name, args),
    act: <K extends keyof Acts>(name: K, args: Acts[K]['args']) => call<Acts[K]['result']>('act', name, args),
    async watch(watcher) {
      const channel = new Channel<ArrayBuffer>((message) => receive(message, watcher))
      await invoke('watch', { channel })
    },
    pickFile: (title) => open({ title, multiple: false, directory: false }),
    onFiles: (listener) =>
      getCurrentWebview().onDragDropEvent(({ payload }) => {
        if (payload.type === 'enter') listener({ state: 'over', paths: payload.paths })
        else if (payload.type === 'drop') listener({ state: 'dropped', paths: payload.paths })
        else if (payload.type === 'leave') listener({ state: 'gone', paths: [] })
      }),
  }
}
