import './style.css'
import { countDown } from './countdown.ts'
import { answerEarlier } from './earlier.ts'
import { RegistrationForm, type FormData } from './form.ts'
import { keeperOf } from './keep.ts'
import { OrderPage } from './order.ts'
import type { ProofData } from './proof.ts'
import { pageData, Words } from './text.ts'
import type { WaitingData } from './waiting.ts'
import { clockSkew } from './world.ts'

type PageData = FormData & { texts: Record<string, string> }

document.documentElement.classList.add('js')
const data = pageData<PageData>()
const words = new Words(data.texts ?? {})
const kept = keeperOf(() => window.localStorage)

switch (document.body.dataset.page) {
  case 'event':
    dock()
    void countToOpening()
    break
  case 'form': {
    const form = document.querySelector<HTMLFormElement>('#form')
    const shut = document.querySelector<HTMLElement>('#shut #notice')
    if (form && data.slug) void openForm(form, data as FormData)
    else if (shut && data.slug) void answerEarlier(shut, data as FormData, words, kept)
    break
  }
  case 'waiting':
    if (data.slug) void import('./waiting.ts').then((m) => new m.WaitingPage(data as WaitingData, words, kept).start())
    break
  case 'draw':
    void import('./proof.ts').then((m) => m.proofPage(data as ProofData, words, kept))
    break
  case 'order':
    new OrderPage(words, kept, new URLSearchParams(location.search).get('token') ?? '').start()
    break
}

/** The queue's own script is loaded where the race has one. */
async function openForm(form: HTMLFormElement, of: FormData): Promise<void> {
  const turn = of.room ? (await import('./waiting.ts')).formTurn(of.slug, of.lang, words, kept) : null
  new RegistrationForm(form, of, words, kept, keeperOf(() => window.sessionStorage), turn).start()
}

/** When registration opens the page loads itself again, within three seconds of each other for all who wait. */
async function countToOpening(): Promise<void> {
  const clock = document.querySelector<HTMLElement>('.countdown')
  if (!clock) return
  const skew = await clockSkew()
  countDown(clock, words, () => Date.now() + skew, () => window.setTimeout(() => location.reload(), 1000 + Math.random() * 3000))
}

/** The bar at the bottom of a phone repeats the button above it, so it comes when that one has gone. */
function dock(): void {
  const bar = document.querySelector('.dock')
  const button = document.querySelector('.entry .button')
  if (!bar || !button) return
  new IntersectionObserver(([entry]) => bar.classList.toggle('away', entry?.isIntersecting ?? false)).observe(button)
}
