// After the acknowledgement, in a real browser: register, pay in the stand-in, see the page turn to confirmed by itself,
// download the ticket, scan its code, find the mail. `node web/e2e/pay.mjs`; needs pdftoppm and zbarimg.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fill, launch, somebody } from './browser.mjs'
import { start } from './server.mjs'

const shots = process.env.GAPURA_SHOTS
if (shots) mkdirSync(shots, { recursive: true })
const folder = mkdtempSync(join(tmpdir(), 'gapura-pay-'))
const server = await start()
const browser = await launch()
let failed = 0
try {
  for (const [name, options] of [
    ['pays with script', {}],
    ['pays without script, on a phone', { javaScriptEnabled: false, viewport: { width: 360, height: 740 } }],
  ]) {
    const context = await browser.newContext({ baseURL: server.url, acceptDownloads: true, viewport: { width: 1280, height: 900 }, ...options })
    context.setDefaultTimeout(20_000)
    const page = await context.newPage()
    const noise = []
    page.on('console', (message) => /Content Security Policy|Refused to/.test(message.text()) && noise.push(message.text()))
    const began = Date.now()
    try {
      await pays(page, context, name.replaceAll(/[^a-z]+/g, '-'), options.javaScriptEnabled !== false)
      assert.deepEqual(noise, [], 'the page reported errors')
      console.log(`ok    ${name} (${Date.now() - began} ms)`)
    } catch (error) {
      failed++
      console.log(`FAIL  ${name}\n${error.stack}\n      at ${page.url()}`)
      if (shots) await page.screenshot({ path: join(shots, `pay-failed-${failed}.png`), fullPage: true })
    } finally {
      await context.close()
    }
  }
} finally {
  await browser.close()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failed > 0 ? 1 : 0

async function pays(page, context, name, script) {
  const shot = async (what, of = page) => {
    if (shots) await of.screenshot({ path: join(shots, `${name}-${what}.png`), fullPage: true })
  }
  const runner = somebody('Siti Aminah')
  await page.goto(`/e/${await openEvent()}/daftar${script ? '' : '?form=1'}`)
  await fill(page, runner, '10k')
  await page.click('#send')
  await page.waitForSelector('#order[data-status=awaiting_payment]')
  const orderPage = page.url()
  await shot('1-unpaid')

  // The payment is made in a second tab, so that the first has to change by itself.
  const till = await context.newPage()
  await till.goto(orderPage)
  await till.click('form.pay button')
  await till.waitForURL((url) => url.origin !== new URL(server.url).origin)
  await shot('2-till', till)
  await payAtTheTill(till)
  await shot('3-paid', till)
  if (script) await page.waitForSelector('#order[data-status=confirmed]')
  else await until(async () => (await page.reload(), page.locator('#order[data-status=confirmed]').count()))
  await shot('4-confirmed')

  const number = (await page.textContent('.number')).trim()
  const ticket = await taken(page, 'tickets.pdf')
  execFileSync('pdftoppm', ['-r', '150', '-png', ticket, join(folder, 'ticket')])
  const image = join(folder, 'ticket-1.png')
  if (shots) writeFileSync(join(shots, `${name}-5-ticket.png`), readFileSync(image))
  const code = execFileSync('zbarimg', ['-q', '--raw', image]).toString().trim()
  assert.match(code, /^G1:[0-9A-Z $%*+\-./:]{100,200}$/)
  const invoice = await taken(page, 'invoice.pdf')
  assert.match(execFileSync('pdftotext', ['-layout', invoice, '-']).toString(), /INV\/\d{4}\/\d{6}/)
  assert.match(readFileSync(await taken(page, 'calendar.ics'), 'utf8'), /BEGIN:VEVENT/)

  await findMail(page, runner, number, shot)
}

async function openEvent() {
  const home = await (await fetch(`${server.url}/`)).text()
  for (const [, slug] of home.matchAll(/href="\/e\/([a-z0-9-]+)"/g)) {
    const form = await (await fetch(`${server.url}/e/${slug}/daftar?form=1`)).text()
    if (form.includes('value="10k"') && !form.includes('id="upcoming"')) return slug
  }
  throw new Error('no race on the home page is open')
}

/** Chooses QRIS and pays, as a wallet would. */
async function payAtTheTill(till) {
  for (let step = 0; step < 5 && new URL(till.url()).origin !== new URL(server.url).origin; step++) {
    const pay = till.locator('button[value=pay]')
    const choose = till.locator('button[value=choose], button[name=channel]').first()
    if ((await pay.count()) > 0) await pay.first().click()
    else await choose.click()
    await till.waitForLoadState()
    const back = till.locator(`a[href^="${server.url}"]`)
    if ((await pay.count()) === 0 && (await back.count()) > 0) return back.first().click()
  }
}

/** Downloads a file of the order, as often as it is still being made. */
async function taken(page, file) {
  let path
  await until(async () => {
    const address = await page.locator(`.documents a[href*="${file}"]`).getAttribute('href')
    const response = await page.context().request.get(address)
    if (response.status() === 503) return false
    assert.equal(response.status(), 200)
    assert.match(response.headers()['content-disposition'], /^attachment; filename=/)
    return true
  })
  const [download] = await Promise.all([page.waitForEvent('download'), page.click(`.documents a[href*="${file}"]`)])
  path = join(folder, download.suggestedFilename())
  await download.saveAs(path)
  return path
}

async function findMail(page, runner, number, shot) {
  await until(async () => {
    await page.goto('/_mailbox')
    return page.locator('a', { hasText: number }).filter({ hasText: /tiket|dapat|pasti|konfirmasi/i }).count()
  })
  await shot('6-mailbox')
  await page.locator('a', { hasText: number }).filter({ hasText: /tiket|dapat|pasti|konfirmasi/i }).first().click()
  const body = await page.locator('iframe').first().contentFrame()
  await body.locator('body').waitFor()
  await shot('7-mail')
  const text = await body.locator('body').textContent()
  assert.ok(text.includes(runner.name) && text.includes(number), `the mail of ${number} names neither: ${text.slice(0, 200)}`)
}

async function until(so) {
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    if (await so()) return
    await new Promise((done) => setTimeout(done, 250))
  }
  throw new Error('it did not become so within 30 s')
}
