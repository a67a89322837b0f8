import { svelte } from '@sveltejs/vite-plugin-svelte'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { replay } from './dev/replay-server.ts'

const assets = fileURLToPath(new URL('../assets', import.meta.url))

export default defineConfig({
  base: './',
  plugins: [svelte(), replay()],
  resolve: { alias: { '@assets': assets } },
  server: { port: 5173, strictPort: true, fs: { allow: ['..'] } },
  build: {
    outDir: 'dist',
    // WebKitGTK 2.50 stands close to Safari 18; 16 leaves room for older distributions.
    target: 'safari16',
    // Everything is read from the program itself, so one large file costs nothing.
    chunkSizeWarningLimit: 3000,
    // Fonts stay files: the CSP then needs no exception.
    assetsInlineLimit: 0,
  },
  worker: { format: 'es' },
  test: { include: ['src/**/*.test.ts', 'dev/**/*.test.ts'] },
})
