import { getContext, setContext } from 'svelte'
import type { Desk } from './desk.svelte'
import type { View } from './view.svelte'

const DESK = Symbol('desk')
const VIEW = Symbol('view')

export const provideDesk = (desk: Desk): Desk => setContext(DESK, desk)
export const useDesk = (): Desk => getContext<Desk>(DESK)
export const provideView = (view: View): View => setContext(VIEW, view)
export const useView = (): View => getContext<View>(VIEW)
