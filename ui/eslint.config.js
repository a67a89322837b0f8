import js from '@eslint/js'
import svelte from 'eslint-plugin-svelte'
import globals from 'globals'
import ts from 'typescript-eslint'
import svelteConfig from './svelte.config.js'

/** Which folder alone may import which package, and why (ARCHITECTURE.md, the rules that a test keeps). */
const tauri = { group: ['@tauri-apps/*'], message: 'Only ui/src/bridge talks to the core: import from bridge.' }
const maplibre = { group: ['maplibre-gl', 'maplibre-gl/*'], message: 'Only ui/src/map touches the map: use ProvinceMap.' }
const only = (...patterns) => ({ 'no-restricted-imports': ['error', { patterns }] })

export default ts.config(
  { ignores: ['dist', 'node_modules', 'src/bridge/generated'] },
  js.configs.recommended,
  ...ts.configs.recommended,
  ...svelte.configs['flat/recommended'],
  {
    languageOptions: { globals: { ...globals.browser } },
    rules: {
      ...only(tauri, maplibre),
      eqeqeq: ['error', 'smart'],
      'no-console': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'error',
    },
  },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser, svelteConfig } },
    rules: {
      // TypeScript knows which names exist.
      'no-undef': 'off',
      // State is raw and replaced as a whole; the sets and maps in it never change.
      'svelte/prefer-svelte-reactivity': 'off',
    },
  },
  { files: ['src/bridge/**'], rules: only(maplibre) },
  { files: ['src/map/**'], rules: only(tauri) },
  { files: ['*.js', '*.ts', 'dev/**'], languageOptions: { globals: globals.node } },
)
