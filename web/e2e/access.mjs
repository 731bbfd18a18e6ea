// Checks that run in the page: what a person who cannot see, or sees little, depends on.

/** Returns one sentence for every obstacle on the page. */
export function obstacles() {
  const found = []
  const report = (element, what) => found.push(`${what}: ${element.outerHTML.slice(0, 140)}`)
  const visible = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && e.getClientRects().length > 0

  structure(report, found)
  for (const input of document.querySelectorAll('input:not([type=hidden]), select, textarea')) {
    if (!input.labels?.length || !text(input.labels[0])) report(input, 'input without a label')
  }
  for (const control of document.querySelectorAll('a[href], button')) {
    if (!text(control) && !control.getAttribute('aria-label')) report(control, 'link or button without a name')
    if (visible(control) && isSmall(control)) report(control, 'target smaller than 24 px')
  }
  for (const element of document.querySelectorAll('[aria-describedby], [aria-labelledby], label[for]')) {
    for (const id of `${element.getAttribute('aria-describedby') ?? ''} ${element.getAttribute('aria-labelledby') ?? ''} ${element.getAttribute('for') ?? ''}`.split(' ')) {
      if (id && !document.getElementById(id)) report(element, `reference to #${id}, which does not exist`)
    }
  }
  for (const wrong of document.querySelectorAll('[aria-invalid=true]')) {
    if (!(wrong.getAttribute('aria-describedby') ?? '').includes('-error')) report(wrong, 'faulty input without its fault')
  }
  for (const element of document.querySelectorAll('body *')) {
    if (visible(element) && ownText(element)) contrast(element, report)
  }
  return found

  function text(e) {
    return (e.textContent ?? '').trim()
  }

  function ownText(e) {
    return [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim() !== '')
  }

  function isSmall(e) {
    const box = e.getBoundingClientRect()
    const inline = getComputedStyle(e).display === 'inline'
    return !inline && (box.width < 24 || box.height < 24) && !e.classList.contains('skip')
  }

  function structure(say, list) {
    if (!document.documentElement.lang) list.push('the page has no language')
    if (document.querySelectorAll('h1').length !== 1) list.push(`${document.querySelectorAll('h1').length} main headings`)
    if (!document.querySelector('main')) list.push('no main landmark')
    if (!document.title) list.push('no title')
    let level = 0
    for (const heading of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
      const next = Number(heading.tagName[1])
      if (!heading.closest('[hidden], template') && next > level + 1) say(heading, 'heading level skipped')
      level = next
    }
    const ids = [...document.querySelectorAll('[id]')].map((e) => e.id)
    for (const id of ids.filter((one, i) => ids.indexOf(one) !== i)) list.push(`id ${id} twice`)
    for (const image of document.querySelectorAll('img:not([alt]), svg:not([aria-hidden]):not([aria-label])')) say(image, 'picture without words')
  }

  // Text on a gradient is judged against the lightest stop of its linear gradient, because such text is white here. The
  // radial glow in a corner of the night is not judged.
  function contrast(element, say) {
    const style = getComputedStyle(element)
    if (element.closest('s, [aria-disabled=true], :disabled, svg, noscript, script, style')) return
    const behind = backdrop(element)
    if (!behind) return
    const front = blend(parse(style.color), behind)
    const ratio = ratioOf(front, behind)
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700)
    if (ratio < (large ? 3 : 4.5) - 0.01) say(element, `contrast ${ratio.toFixed(2)} of ${style.color} on rgb(${behind.map(Math.round)})`)
  }

  function backdrop(element) {
    for (let e = element; e; e = e.parentElement) {
      const style = getComputedStyle(e)
      if (style.backgroundImage !== 'none' && !e.matches('select')) return lightest(style.backgroundImage)
      const colour = parse(style.backgroundColor)
      if (colour[3] === 1) return colour.slice(0, 3)
    }
    return [255, 255, 255]
  }

  function lightest(image) {
    const base = image.slice(image.lastIndexOf('linear-gradient'))
    const stops = [...base.matchAll(/rgba?\([^)]+\)/g)].map((m) => parse(m[0])).filter((c) => c[3] === 1)
    if (stops.length === 0) return null
    return stops.sort((a, b) => luminance(b) - luminance(a))[0].slice(0, 3)
  }

  function parse(colour) {
    if (colour.startsWith('color(srgb')) {
      const n = colour.match(/[\d.]+/g).map(Number)
      return [n[0] * 255, n[1] * 255, n[2] * 255, n[3] ?? 1]
    }
    const n = (colour.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number)
    return [n[0], n[1], n[2], n[3] ?? 1]
  }

  function blend(front, behind) {
    return behind.map((b, i) => front[i] * front[3] + b * (1 - front[3]))
  }

  function luminance(colour) {
    const [r, g, b] = colour.slice(0, 3).map((c) => {
      const s = c / 255
      return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }

  function ratioOf(a, b) {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x)
    return (light + 0.05) / (dark + 0.05)
  }
}
