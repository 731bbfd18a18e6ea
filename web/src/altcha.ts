import 'altcha/external'
import 'altcha/altcha.css'
import worker from 'altcha/worker?url'
import type { Widget } from './captcha.ts'
import type { Words } from './text.ts'

type State = 'error' | 'expired' | 'verified' | 'verifying' | 'unverified'

interface Element extends HTMLElement {
  configure(options: Record<string, unknown>): void
  reset(state?: State): void
  verify(): Promise<void>
}

/** Puts ALTCHA's widget into box. The work is done by a worker from this server: the page's policy allows no other. */
export async function altcha(box: HTMLElement, words: Words, action: string): Promise<Widget> {
  await customElements.whenDefined('altcha-widget')
  const widget = document.createElement('altcha-widget') as Element
  const waiting = words.say('js.captcha')
  const options: Record<string, unknown> = {
    challengeurl: `/api/v1/captcha/challenge?action=${encodeURIComponent(action)}`,
    workerurl: worker,
    workers: Math.min(4, navigator.hardwareConcurrency || 2),
    hidelogo: true,
    hidefooter: true,
    disablerefetchonexpire: true,
    strings: JSON.stringify({
      label: waiting, verifying: waiting, waitAlert: waiting, verified: words.say('js.captcha_done'), error: words.say('js.captcha_error'),
      expired: waiting, ariaLinkLabel: '', footer: '',
    }),
  }
  for (const [name, value] of Object.entries(options)) widget.setAttribute(name, String(value))
  box.replaceChildren(widget)
  // Its pictures say nothing that the words beside them do not.
  new MutationObserver(() => widget.querySelectorAll('svg').forEach((picture) => picture.setAttribute('aria-hidden', 'true'))).observe(widget, {
    childList: true, subtree: true,
  })
  return {
    solve: () =>
      new Promise((resolve, reject) => {
        const changed = (event: Event): void => {
          const { state, payload } = (event as CustomEvent<{ state: State; payload?: string }>).detail
          if (state !== 'verified' && state !== 'error') return
          widget.removeEventListener('statechange', changed)
          if (state === 'verified' && payload) resolve(payload)
          else reject(new Error('altcha'))
        }
        widget.addEventListener('statechange', changed)
        void ready(widget).then(() => {
          widget.reset()
          return widget.verify()
        }).catch(reject)
      }),
  }
}

/** The element gets its methods when it is drawn, one turn after it is in the page. */
async function ready(widget: Element): Promise<void> {
  for (let i = 0; i < 100 && typeof widget.verify !== 'function'; i++) await new Promise((resolve) => setTimeout(resolve, 10))
}
