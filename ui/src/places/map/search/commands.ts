/** Commands of the search field. All of them act on the window at once; none is listed that does nothing. */
import { match } from '../../../shared/fold'
import type { IconName } from '../../../shared/icons'
import { language, t, tt } from '../../../shared/i18n.svelte'
import type { Desk } from '../../../state/desk.svelte'
import { shownTheme, toggleTheme } from '../../../state/look.svelte'
import { drawnChoice } from '../../../state/model'
import { type Intake, intakesOf } from '../../data/intake/intakes.svelte'

export interface Command {
  key: string
  icon: IconName
  text: string
  /** Parts of `text` that were typed. */
  marks: [number, number][]
  hint?: string
  keys?: string
  run: () => void
}

/** With nothing typed, only the few that are always at hand; layers' commands come with their name. */
const MOST = 5

export function commandsFor(desk: Desk, typed: string): Command[] {
  const all = typed.trim() === '' ? general(desk) : [...layers(desk), ...views(desk), ...general(desk)]
  const found = all.flatMap((command) => {
    const marks = match(command.text, typed)
    return marks ? [{ ...command, marks }] : []
  })
  return found.slice(0, typed.trim() === '' ? all.length : MOST)
}

type Bare = Omit<Command, 'marks'>

function general(desk: Desk): Bare[] {
  const dark = shownTheme(desk) === 'dark'
  const other = language() === 'vi' ? 'en' : 'vi'
  const bare: Bare[] = [
    { key: 'home', icon: 'locate', text: t('command.home'), run: () => showHome(desk) },
    {
      key: 'theme', icon: dark ? 'sun' : 'moon', text: t(dark ? 'command.theme_light' : 'command.theme_dark'),
      keys: 'Ctrl L', run: () => toggleTheme(desk),
    },
    { key: 'language', icon: 'languages', text: t('command.language'), run: () => desk.change({ language: other }) },
    { key: 'data', icon: 'hard-drive', text: t('command.data'), keys: 'Ctrl 5', run: () => (desk.workplace = 'data') },
    { key: 'add-source', icon: 'plus', text: t('intake.add_source'), run: () => takeIn(desk, 'source') },
    { key: 'import', icon: 'upload', text: t('intake.import'), run: () => takeIn(desk, 'file') },
    { key: 'settings', icon: 'settings', text: t('command.settings'), run: () => (desk.settingsOpen = true) },
  ]
  if (desk.model.session.role !== 'guest' && desk.model.sources.sources.length > 0) {
    bare.push({ key: 'sync', icon: 'refresh-cw', text: t('command.sync'), run: () => void desk.act('sync', {}) })
  }
  if (desk.solo !== null) {
    bare.unshift({ key: 'solo-end', icon: 'eye', text: t('command.solo_end'), run: () => (desk.solo = null) })
  }
  return bare
}

function takeIn(desk: Desk, kind: Intake['kind']): void {
  desk.workplace = 'data'
  intakesOf(desk).open(kind)
}

function showHome(desk: Desk): void {
  desk.workplace = 'map'
  desk.map?.home()
}

function layers(desk: Desk): Bare[] {
  return desk.model.layers
    .filter((layer) => layer.allowed)
    .flatMap((layer) => {
      const title = tt(layer.title)
      const { visible } = drawnChoice(desk.model.settings, layer, desk.solo)
      const bare: Bare[] = []
      if (layer.group !== 'base' && desk.solo !== layer.id) {
        const selected = desk.selection?.layer === layer.id
        bare.push({
          key: `solo-${layer.id}`, icon: 'eye', text: t('command.solo', { layer: title }), hint: t('command.solo_hint'),
          ...(selected ? { keys: 'Alt S' } : {}), run: () => desk.toggleSolo(layer.id),
        })
      }
      bare.push({
        key: `toggle-${layer.id}`, icon: visible ? 'eye-off' : 'eye',
        text: t(visible ? 'command.layer_off' : 'command.layer_on', { layer: title }),
        run: () => desk.setLayer(layer, { visible: !visible }),
      })
      return bare
    })
}

function views(desk: Desk): Bare[] {
  return desk.model.views.map((view) => ({
    key: `view-${view.id}`, icon: 'bookmark', text: t('command.view', { name: view.name }),
    run: () => desk.openView(view.id),
  }))
}
