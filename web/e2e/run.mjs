// End to end in a real browser: `npm --prefix web run e2e`. See server.mjs for what it runs against.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { obstacles } from './access.mjs'
import { answer, fill, introduce, launch, somebody } from './browser.mjs'
import { start } from './server.mjs'

const phone = { width: 360, height: 740 }
const desk = { width: 1280, height: 900 }
const shots = process.env.GAPURA_SHOTS
if (shots) mkdirSync(shots, { recursive: true })

const server = await start()
const browser = await launch()
const results = []
try {
  const slug = await eventSlug()
  const paths = { event: `/e/${slug}`, form: `/e/${slug}/daftar` }
  for (const [name, options, run] of cases(paths)) await once(name, options, run)
} finally {
  await browser.close()
  await server.stop()
}
const failed = results.filter((r) => !r.ok)
console.log(`${results.length - failed.length} of ${results.length} passed`)
process.exitCode = failed.length > 0 ? 1 : 0

async function once(name, options, run) {
  if (process.env.GAPURA_E2E && !name.includes(process.env.GAPURA_E2E)) return
  const context = await browser.newContext({ viewport: desk, baseURL: server.url, ...options })
  context.setDefaultTimeout(15_000)
  const page = await context.newPage()
  const noise = []
  page.on('pageerror', (error) => noise.push(error.message))
  page.on('console', (message) => /Content Security Policy|Refused to/.test(message.text()) && noise.push(message.text()))
  const began = Date.now()
  try {
    await run(page, context)
    assert.deepEqual(noise, [], 'the page reported errors')
    results.push({ name, ok: true })
    console.log(`ok    ${name} (${Date.now() - began} ms)`)
  } catch (error) {
    results.push({ name, ok: false })
    console.log(`FAIL  ${name}\n${error.stack}\n      at ${page.url()}`)
    const invalid = await page.evaluate(() => [...document.querySelectorAll('form :invalid')].map((e) => e.name ?? e.id)).catch(() => [])
    if (invalid.length > 0) console.log(`      refused by the browser: ${invalid}`)
    if (shots) await page.screenshot({ path: `${shots}/failed-${results.length}.png`, fullPage: true })
  } finally {
    await context.close()
  }
}

/** The first race on the home page that registers; the demo has one. */
async function eventSlug() {
  if (process.env.GAPURA_EVENT) return process.env.GAPURA_EVENT
  const home = await (await fetch(server.url + '/')).text()
  for (const [, slug] of home.matchAll(/href="\/e\/([a-z0-9-]+)"/g)) {
    const form = await (await fetch(`${server.url}/e/${slug}/daftar?form=1`)).text()
    if (form.includes('value="fun-run"') && !form.includes('id="upcoming"')) return slug
  }
  throw new Error('no race on the home page is open')
}

function cases(paths) {
  return [
    ['registers with script', {}, (page) => withScript(page, paths)],
    ['registers without script, on a phone', { javaScriptEnabled: false, viewport: phone }, (page) => withoutScript(page, paths)],
    ['registers a group of three', {}, (page) => group(page, paths)],
    ['says every fault at its field', {}, (page) => faults(page, paths)],
    ['a double click books once', {}, (page) => doubleClick(page, paths)],
    ['a reload keeps answers and key', {}, (page) => reload(page, paths)],
    ['a second tab has the same key', {}, (page, context) => secondTab(page, context, paths)],
    ['a lost answer is found by key', {}, (page) => lostAnswer(page, paths)],
    ['a page closed while sending finds its order', {}, (page, context) => closedWhileSending(page, context, paths)],
    ['offline, then online', {}, (page, context) => offline(page, context, paths)],
    ['a full server is tried again', {}, (page) => overloaded(page, paths)],
    ['a new price is asked about', {}, (page) => newPrice(page, paths)],
    ['an order page follows its status', {}, (page, context) => live(page, context, paths)],
    ['a cancelled order says so without script', { javaScriptEnabled: false }, (page) => cancelPlain(page, paths)],
    ['English is kept along the way', {}, (page) => inEnglish(page, paths)],
    ['works with the keyboard alone', {}, (page) => keyboard(page, paths)],
    ['the first visit of the form stays below 60 KB', {}, (page, context) => weight(page, context, paths)],
    ['nothing overflows at 360 pixels', { viewport: phone }, (page) => narrow(page, paths)],
    ['no obstacles, light', { colorScheme: 'light' }, (page) => accessible(page, paths)],
    ['no obstacles, dark', { colorScheme: 'dark' }, (page) => accessible(page, paths)],
  ]
}

async function send(page) {
  await page.click('#send')
}

async function arrived(page, status) {
  await page.waitForURL(/\/orders\/[0-9a-f-]{36}\?/)
  await page.waitForSelector(`#order[data-status=${status}]`)
}

/** Counts the orders that the page asks the server for. */
function countPosts(page) {
  const keys = []
  page.on('request', (r) => r.method() === 'POST' && r.url().endsWith('/orders') && keys.push(r.headers()['idempotency-key']))
  return keys
}

/** The attempt that the browser keeps. */
function kept(page) {
  return page.evaluate(() => JSON.parse(localStorage.getItem(Object.keys(localStorage).find((k) => k.endsWith(':key'))) ?? 'null'))
}

async function withScript(page, paths) {
  await page.goto(paths.event)
  await page.click('.entry .button')
  await page.waitForURL(`**${paths.form}`)
  await fill(page, somebody())
  assert.match(await page.textContent('#summary'), /Gratis/)
  await send(page)
  await arrived(page, 'confirmed')
  assert.match(await page.textContent('h1'), /Kamu dapat tempat/)
  assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((k) => /:(key|draft)$/.test(k)).length), 0, 'key and answers are gone')
}

async function withoutScript(page, paths) {
  await page.goto(paths.form)
  await page.waitForURL('**form=1')
  const key = await page.inputValue('[name=key]')
  assert.ok(key.length >= 20)
  const first = somebody('Ni Luh Ayu')
  await fill(page, { ...first, email: 'ni-luh@' + 'x'.repeat(3) + '..id' })
  await page.click('#add')
  assert.equal(await page.locator('.person').count(), 2)
  assert.equal(await page.inputValue('[name=key]'), key, 'adding keeps the key')
  await introduce(page, 1, { ...somebody('Made Putra'), phone: '12' })
  await answer(page, 1, 'fun-run')
  await page.locator('form').evaluate((form) => (form.noValidate = true))
  await send(page)
  assert.match(await page.textContent('#alert'), /2 hal/)
  assert.ok(await page.isVisible('#f-contact-email-error'))
  assert.ok(await page.isVisible('#f-participants-1-phone-error'))
  await page.fill('[name="/contact/email"]', first.email)
  await page.fill('[name="/participants/1/phone"]', somebody().phone)
  await send(page)
  await arrived(page, 'confirmed')
  assert.equal(await page.locator('.people li').count(), 2)
}

async function group(page, paths) {
  await page.goto(paths.form)
  await fill(page, somebody(), '10k')
  for (const [index, name] of [[1, 'I Wayan Sudarsana'], [2, 'Butet Siregar'], [3, 'Yang Batal']]) {
    await page.click('#add')
    await introduce(page, index, somebody(name))
    await answer(page, index, index === 2 ? '5k' : '10k')
  }
  await page.click('#f-participants-1 .remove')
  assert.equal(await page.inputValue('[name="/participants/1/name"]'), 'Butet Siregar', 'those behind move up')
  assert.deepEqual(await page.locator('#summary li span').allTextContents(), ['2 × 10 K', '1 × 5 K'])
  const total = await page.textContent('#summary .total b')
  await send(page)
  await arrived(page, 'awaiting_payment')
  assert.equal(await page.textContent('.order .total b'), total, 'the order costs what the form said')
  assert.deepEqual(await page.locator('.people .who b').allTextContents(), ['Siti Aminah', 'Butet Siregar', 'Yang Batal'])
  assert.ok(await page.isVisible('.hold .countdown'))
}

async function faults(page, paths) {
  await page.goto(paths.form)
  await send(page)
  assert.equal(await page.evaluate(() => document.activeElement.id), 'alert', 'the focus is on the summary')
  assert.ok(await page.isVisible('#f-contact-name-error'))
  assert.ok(await page.isVisible('#f-participants-0-category-error'))
  await page.click('#alert li:first-child a')
  assert.equal(await page.evaluate(() => document.activeElement.name), '/contact/name')
  await fill(page, { ...somebody(), phone: '123' })
  await page.fill('[name="/participants/0/birth_date"]', '2031-01-01')
  await send(page)
  await page.waitForSelector('#f-contact-phone-error:visible')
  assert.match(await page.textContent('#f-contact-phone-error'), /Nomor HP/)
  assert.match(await page.textContent('#f-participants-0-birth_date-error'), /masa depan/)
  assert.equal(await page.getAttribute('[name="/contact/phone"]', 'aria-invalid'), 'true')
  assert.ok(!(await page.isVisible('#f-contact-name-error')), 'what was corrected is taken back')
}

async function doubleClick(page, paths) {
  const posts = countPosts(page)
  await page.goto(paths.form)
  await fill(page, somebody())
  await page.dblclick('#send')
  await arrived(page, 'confirmed')
  assert.equal(posts.length, 1)
}

async function reload(page, paths) {
  await page.goto(paths.form)
  const who = somebody('Raden Ajeng')
  await fill(page, who, '5k')
  await page.click('#add')
  await introduce(page, 1, somebody('Kedua'))
  await page.route('**/orders', (route) => route.fulfill(problem(503, { code: 'overloaded' }, { 'Retry-After': '30' })))
  await answer(page, 1, '5k')
  await send(page)
  await page.waitForSelector('#progress .bar')
  const before = await kept(page)
  await page.unroute('**/orders')
  await page.reload()
  await page.waitForFunction(() => document.querySelector('[name="/contact/name"]').value !== '')
  assert.equal(await page.inputValue('[name="/contact/name"]'), 'Raden Ajeng')
  assert.equal(await page.inputValue('[name="/participants/1/name"]'), 'Kedua')
  assert.ok(await page.isChecked('[name="/participants/0/category"][value="5k"]'))
  const posts = countPosts(page)
  await send(page)
  await arrived(page, 'awaiting_payment')
  assert.equal(posts[0], `"${before.key}"`, 'the same key after the reload')
}

async function secondTab(page, context, paths) {
  await page.goto(paths.form)
  await fill(page, somebody())
  const first = countPosts(page)
  await page.route('**/orders', (route) => route.fulfill(problem(503, { code: 'overloaded' }, { 'Retry-After': '30' })))
  await send(page)
  await page.waitForSelector('#progress .bar')
  const other = await context.newPage()
  await other.goto(paths.form)
  await other.getByText('Pakai lagi').click()
  const second = countPosts(other)
  await send(other)
  await arrived(other, 'confirmed')
  assert.equal(second[0], first[0], 'both tabs send the same key')
  await other.close()
}

/** Lets the order through to the server and loses the answer on its way back. */
async function loseAnswers(page, times) {
  let lost = 0
  await page.route('**/orders', async (route) => {
    if (lost++ >= times) return route.continue()
    await route.fetch()
    await route.abort('connectionreset')
  })
}

async function lostAnswer(page, paths) {
  await page.goto(paths.form)
  await fill(page, somebody())
  await loseAnswers(page, 1)
  const posts = countPosts(page)
  await send(page)
  await arrived(page, 'confirmed')
  assert.equal(posts.length, 1, 'the server was asked, not booked again')
}

async function closedWhileSending(page, context, paths) {
  await page.goto(paths.form)
  await fill(page, somebody())
  let heard
  const reached = new Promise((done) => (heard = done))
  await page.route('**/orders', async (route) => {
    await route.fetch()
    heard()
  })
  await send(page)
  await reached
  await page.close()
  const later = await context.newPage()
  await later.goto(paths.form)
  await later.waitForFunction(() => /sudah masuk/.test(document.getElementById('notice').textContent))
  await later.click('#notice button')
  await arrived(later, 'confirmed')
  await later.close()
}

async function offline(page, context, paths) {
  await page.goto(paths.form)
  await fill(page, somebody())
  await context.setOffline(true)
  await send(page)
  await page.waitForFunction(() => /offline/.test(document.getElementById('progress').textContent))
  await context.setOffline(false)
  await arrived(page, 'confirmed')
}

/** The answer of a server that refuses. */
function problem(status, body, headers = {}) {
  return {
    status,
    headers: { 'Content-Type': 'application/problem+json', ...headers },
    body: JSON.stringify({ status, title: body.code, ...body }),
  }
}

async function overloaded(page, paths) {
  await page.goto(paths.form)
  await fill(page, somebody())
  let refused = 0
  await page.route('**/orders', (route) =>
    refused++ < 2 ? route.fulfill(problem(503, { code: 'overloaded' }, { 'Retry-After': '1' })) : route.continue(),
  )
  const posts = countPosts(page)
  await send(page)
  await page.waitForFunction(() => /Tempatmu belum terpesan/.test(document.getElementById('progress').textContent))
  if (shots) await page.screenshot({ path: `${shots}/busy.png` })
  await arrived(page, 'confirmed')
  assert.equal(posts.length, 3)
  assert.equal(new Set(posts).size, 1, 'one key for all attempts')
}

async function newPrice(page, paths) {
  await page.goto(paths.form)
  await fill(page, somebody(), '10k')
  const bodies = []
  await page.route('**/orders', (route) => {
    const body = route.request().postDataJSON()
    bodies.push(body.expected_total)
    if (bodies.length === 1) return route.fulfill(problem(409, { code: 'price_changed', total: body.expected_total + 75000, expected_total: body.expected_total }))
    return route.continue({ postData: JSON.stringify({ ...body, expected_total: body.expected_total - 75000 }) })
  })
  await send(page)
  await page.waitForSelector('#progress .button')
  assert.match(await page.textContent('#progress p'), /Harga berubah dari Rp[\d.]+ menjadi Rp[\d.]+/)
  if (shots) await page.screenshot({ path: `${shots}/price-changed.png` })
  await page.click('#progress .button')
  await arrived(page, 'awaiting_payment')
  assert.equal(bodies[1], bodies[0] + 75000, 'the agreed sum is sent')
}

async function live(page, context, paths) {
  await page.goto(paths.form)
  await fill(page, somebody(), '10k')
  await send(page)
  await arrived(page, 'awaiting_payment')
  await page.waitForSelector('#link-state.live')
  const other = await context.newPage()
  await other.goto(page.url())
  await other.click('a.danger')
  assert.match(await other.textContent('h1'), /Batalkan pendaftaran/)
  await other.click('button.danger')
  await arrived(other, 'cancelled')
  await page.waitForSelector('#order[data-status=cancelled]')
  assert.match(await page.textContent('#said'), /Dibatalkan/)
  await other.close()
}

async function cancelPlain(page, paths) {
  await page.goto(paths.form + '?form=1')
  await fill(page, somebody(), '5k')
  await page.click('button[value=quote]')
  assert.match(await page.textContent('#summary'), /Rp/)
  await send(page)
  await arrived(page, 'awaiting_payment')
  await page.click('a.danger')
  await page.click('button.danger')
  await arrived(page, 'cancelled')
  assert.ok(!(await page.locator('a.danger').count()), 'it cannot be cancelled twice')
}

async function inEnglish(page, paths) {
  await page.goto(paths.event + '?lang=en')
  assert.equal(await page.getAttribute('html', 'lang'), 'en')
  await page.click('.entry .button')
  await page.waitForURL(/lang=en/)
  await fill(page, somebody())
  await send(page)
  await arrived(page, 'confirmed')
  assert.equal(await page.textContent('h1'), 'You are in.')
}

async function keyboard(page, paths) {
  await page.goto(paths.form)
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip', 'the first stop skips to the content')
  const seen = new Set()
  for (let i = 0; i < 60 && !seen.has('send'); i++) {
    await page.keyboard.press('Tab')
    seen.add(
      await page.evaluate(() => {
        const e = document.activeElement
        const ring = e.matches('.pill input, .choice input') ? e.nextElementSibling : e
        // The calendar button inside a date input has the focus, and its own ring, while the input itself has none.
        const inside = e.type === 'date' && !e.matches(':focus')
        if (!inside && getComputedStyle(ring).outlineStyle === 'none') throw new Error(`no visible focus on ${e.outerHTML}`)
        return e.name?.startsWith('/') ? e.name : e.id
      }),
    )
  }
  for (const name of ['/contact/name', '/participants/0/category', '/participants/0/birth_date', 'self', 'send']) assert.ok(seen.has(name), `${name} is reached`)
}

async function weight(page, context, paths) {
  const session = await context.newCDPSession(page)
  await session.send('Network.enable')
  const parts = {}
  const names = {}
  session.on('Network.requestWillBeSent', (e) => e.request.url.startsWith('http') && (names[e.requestId] = new URL(e.request.url).pathname))
  session.on('Network.loadingFinished', (e) => names[e.requestId] && (parts[names[e.requestId]] = (parts[names[e.requestId]] ?? 0) + e.encodedDataLength))
  await page.goto(paths.form, { waitUntil: 'networkidle' })
  const total = Object.values(parts).reduce((a, b) => a + b, 0)
  console.log(`      ${total} bytes: ${JSON.stringify(parts)}`)
  assert.ok(Object.keys(parts).length >= 3, 'page, style and script were loaded')
  assert.ok(total <= 60 * 1024, `${total} bytes`)
}

async function everyPage(page, paths, look) {
  for (const path of ['/', paths.event, paths.form, paths.form + '?form=1', '/no-such-page']) {
    await page.goto(path)
    await look(path)
  }
  await page.goto(paths.form)
  await page.click('#send')
  await page.waitForSelector('#alert:not([hidden])')
  await look('the form with faults')
  await page.evaluate(() => sessionStorage.clear())
  await fill(page, somebody(), '10k')
  await send(page)
  await arrived(page, 'awaiting_payment')
  await look('an order that awaits payment')
  await page.click('a.danger')
  await look('the question before cancelling')
  await page.click('button.danger')
  await arrived(page, 'cancelled')
  await look('a cancelled order')
  await page.goto(paths.form)
  await page.click('#notice button:last-child')
  await fill(page, somebody())
  await send(page)
  await arrived(page, 'confirmed')
  await look('a confirmed order')
}

async function narrow(page, paths) {
  await everyPage(page, paths, async (where) => {
    const width = await page.evaluate(() => document.documentElement.scrollWidth)
    assert.ok(width <= 360, `${where} is ${width} pixels wide`)
  })
}

async function accessible(page, paths) {
  const all = []
  await everyPage(page, paths, async (where) => {
    await page.evaluate(() => Promise.all(document.getAnimations().filter((a) => a.effect?.getComputedTiming().iterations !== Infinity).map((a) => a.finished)))
    for (const one of await page.evaluate(obstacles)) all.push(`${where}: ${one}`)
  })
  assert.deepEqual([...new Set(all)], [])
}
