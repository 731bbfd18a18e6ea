import './style.css'
import { countDown } from './countdown.ts'
import { RegistrationForm, type FormData } from './form.ts'
import { keeperOf } from './keep.ts'
import { OrderPage } from './order.ts'
import { pageData, Words } from './text.ts'
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
    if (form && data.slug) new RegistrationForm(form, data as FormData, words, kept, keeperOf(() => window.sessionStorage)).start()
    break
  }
  case 'order':
    new OrderPage(words, kept, new URLSearchParams(location.search).get('token') ?? '').start()
    break
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
