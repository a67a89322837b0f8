/**
 * Development only: lets `npm run dev` show the window in a plain browser. Serves the province profile in the shape the
 * core's `start`, feature and tile answers have; the browser's half is src/bridge/replay. No part of a build.
 */
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vite'
import { ReplayProfile } from './profile.ts'

const PROFILE = fileURLToPath(new URL('../../maps/tay-ninh', import.meta.url))

interface Answer {
  type: string
  body: string | Uint8Array | null
}

const json = (body: unknown): Answer => ({ type: 'application/json', body: JSON.stringify(body) })

function answer(profile: ReplayProfile, path: string): Answer {
  const [what = '', layer = '', , z, x, y] = path.replace(/^tiles\//, '').split('/')
  if (what === 'start') return json({ profile: profile.profile, layers: profile.layers })
  if (what === 'features') return json(profile.features(layer))
  if (what === 'collection') return json(profile.collection(layer))
  if (what === 'p' || what === 'l') return json(profile.points(layer))
  if (what === 'v') return { type: 'application/x-protobuf', body: profile.tile(layer, Number(z), Number(x), Number(y)) }
  if (what === 'still') return { type: 'image/svg+xml', body: STILL }
  throw new Error(`nothing at ${path}`)
}

const STILL = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 360"><path fill="#8fb3c9" d="M0 0h640v150H0z"/>
<path fill="#5c6b57" d="M0 150h640v210H0z"/><path fill="#50565b" d="M290 150h60l240 210H50z"/>
<path stroke="#e8e2c8" stroke-width="6" stroke-dasharray="30 24" d="M320 160v200"/></svg>`

export function replay(): Plugin {
  return {
    name: 'toancanh-replay',
    apply: 'serve',
    configureServer(server) {
      // Tests start a server too, and need no profile.
      let profile: ReplayProfile | undefined
      server.middlewares.use('/replay', (request, response) => {
        try {
          profile ??= new ReplayProfile(PROFILE)
          const { type, body } = answer(profile, (request.url ?? '').slice(1).replace(/\?.*/, ''))
          response.setHeader('content-type', type)
          response.statusCode = body === null ? 204 : 200
          response.end(body ?? undefined)
        } catch (error) {
          response.statusCode = 404
          response.end(String(error))
        }
      })
    },
  }
}
