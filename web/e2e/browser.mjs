import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

export function launch() {
  const executablePath = process.env.CHROMIUM ?? places.find((p) => existsSync(p))
  if (!executablePath) throw new Error('no Chromium found: install it (Debian: apt-get install chromium) or name it in CHROMIUM')
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

let people = Date.now() % 1_000_000_000

/** A person nobody has registered yet. */
export function somebody(name = 'Siti Aminah') {
  people++
  return { name, email: `lari-${people}-${process.pid}@example.id`, phone: `0812${String(people % 100_000_000).padStart(8, '0')}` }
}

/** Fills in the contact and the first participant, who is the contact. */
export async function fill(page, contact, category = 'fun-run') {
  await page.fill('[name="/contact/name"]', contact.name)
  await page.fill('[name="/contact/email"]', contact.email)
  await page.fill('[name="/contact/phone"]', contact.phone)
  await answer(page, 0, category)
}

/** Fills in what every participant is asked. */
export async function answer(page, index, category) {
  const at = `/participants/${index}`
  await page.check(`[name="${at}/category"][value="${category}"]`)
  await page.fill(`[name="${at}/birth_date"]`, '1994-05-02')
  await page.check(`[name="${at}/gender"][value="female"]`)
  const jersey = page.locator(`select[name="${at}/answers/jersey"]`)
  if (category !== 'fun-run' && (await jersey.count()) > 0) await jersey.selectOption('M')
  await page.fill(`[name="${at}/answers/emergency-contact"]`, 'Budi 0812 0000 111')
  await page.check(`[name="${at}/answers/fit"]`)
}

/** Fills in who a participant is who is not the contact. */
export async function introduce(page, index, person) {
  for (const name of ['name', 'email', 'phone']) await page.fill(`[name="/participants/${index}/${name}"]`, person[name])
}
