import { Keys, type Keeper } from './keep.ts'
import { lookUp, waitFor, type World } from './submit.ts'
import type { Words } from './text.ts'
import { ask, orderPath, sleep } from './world.ts'

/** What looking for an earlier attempt needs from outside. */
export type Lookout = Pick<World, 'sleep' | 'random'> & { find(key: string, signal: AbortSignal): ReturnType<World['find']> }

const browser: Lookout = {
  find: (key, signal) => ask(`/api/v1/orders/by-key/${encodeURIComponent(key)}`, signal, { headers: { Accept: 'application/json' } }),
  sleep,
  random: Math.random,
}

/**
 * Where the form is gone, says what became of an attempt whose answer was lost. The last places may be that visitor's: "sold
 * out" alone would send them away.
 */
export async function answerEarlier(box: HTMLElement, of: { slug: string; lang: string }, words: Words, kept: Keeper, world: Lookout = browser): Promise<void> {
  const keys = new Keys(kept, of.slug)
  const attempt = keys.peek()
  if (!attempt?.sent) return
  box.textContent = words.say('js.checking')
  box.hidden = false
  const { signal } = new AbortController()
  for (let failures = 0; ; failures++) {
    const found = await lookUp({ find: (s) => world.find(attempt.key, s) }, signal)
    if (found === 'none') {
      keys.clear()
      box.textContent = words.say('js.not_found')
      return
    }
    if (found !== 'unknown') {
      keys.made(found.id)
      const link = document.createElement('a')
      link.href = orderPath(found, of.lang)
      link.textContent = words.say('js.found_go')
      box.replaceChildren(`${words.say('js.found', { number: found.number })} `, link)
      return
    }
    await world.sleep(waitFor(null, failures, world.random), signal)
  }
}
