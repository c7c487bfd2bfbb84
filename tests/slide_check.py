"""What a reader in the last row would complain about: the slides of a deck, looked at in a headless Chromium."""

from pathlib import Path

SMALLEST_TEXT = 16  # pixels of a page of 1280 x 720
# Pictures are made at 100 dots an inch with text of 12 points, 16.7 pixels: drawn smaller than this, it is below 16.
SMALLEST_PICTURE = SMALLEST_TEXT / (12 * 100 / 72)
WIDTH, HEIGHT = 1280, 720

# Each slide, with all its fragments on the page, and what is wrong with it. One pixel is left to rounding.
LOOK = """async ([smallest, smallestPicture]) => {
    const slide = Reveal.getCurrentSlide(), content = slide.querySelector(":scope > .content");
    const scale = Reveal.getScale(), found = [], page = content.getBoundingClientRect();
    const sticking = {right: [], below: [], left: [], top: []};
    const name = element => element.tagName.toLowerCase() + " '" + (element.innerText || element.alt || "")
        .trim().replace(/\\s+/g, " ").slice(0, 40) + "'";
    const seen = element => element.checkVisibility({opacityProperty: true, visibilityProperty: true});
    for (const element of slide.querySelectorAll(".content *")) {
        const box = element.getBoundingClientRect();
        if (!seen(element) || !box.width || !box.height) continue;
        const out = [["right", box.right - page.right], ["below", box.bottom - page.bottom],
                     ["left", page.left - box.left], ["top", page.top - box.top]].filter(([, by]) => by > 1);
        for (const [side, by] of out) {  // of what sticks out together, the outermost is named
            if (!sticking[side].some(outer => outer.contains(element)))
                found.push(`${name(element)} sticks out ${side} by ${Math.round(by)} pixels`);
            sticking[side].push(element);
        }
        const style = getComputedStyle(element);
        if (style.overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1
            || style.overflowY !== "visible" && element.scrollHeight > element.clientHeight + 1)
            found.push(`${name(element)} hides a part of what it holds`);
    }
    const texts = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
    for (let text = texts.nextNode(); text; text = texts.nextNode()) {
        const element = text.parentElement;
        if (!text.data.trim() || element.closest("aside, style, script, annotation") || !seen(element)) continue;
        const size = parseFloat(getComputedStyle(element).fontSize) * scale;
        if (size < smallest - 0.01) found.push(`${name(element)} has text of ${size.toFixed(1)} pixels`);
    }
    for (const picture of slide.querySelectorAll("img")) {
        await picture.decode().catch(() => {});
        const drawn = Math.min(picture.clientWidth / picture.naturalWidth,
                               picture.clientHeight / picture.naturalHeight);
        if (!picture.complete || !picture.naturalWidth) found.push(`${name(picture)} is not loaded`);
        else if (drawn * scale < smallestPicture)
            found.push(`${name(picture)} is drawn at ${drawn.toFixed(2)} of its size, so its text is too small`);
    }
    const own = [...content.children].filter(part => !part.matches(".again"));  // not the title of the slide before
    if (!own.some(part => (part.innerText ?? part.textContent).trim() || part.matches("img, :has(img)")))
        found.push("nothing is on it");
    return found;
}"""
SLIDES = """() => Reveal.getSlides().map(slide => {
    const {h, v} = Reveal.getIndices(slide);
    return [h, v, slide.querySelectorAll(".fragment").length];
})"""


def slide_problems(page, path, pictures=None):
    """Return what is wrong with the slides of the deck at ``path``, a sentence each; none when all is well.

    Content that leaves its page or is cut off, text below 16 pixels at 1280 x 720, pictures that are drawn too small
    or do not load, errors of scripts, and every request that would leave this machine (it is refused).

    Args:
        page: an empty page of a browser, 1280 x 720.
        pictures: a folder for a screenshot of every slide, where they are wanted.
    """
    problems = watch(page)
    page.goto("about:blank")  # so that the same deck is opened anew, at its first slide
    page.goto(Path(path).resolve().as_uri())
    page.wait_for_function("() => window.Reveal?.isReady()", timeout=20_000)
    page.evaluate("() => document.fonts.ready")
    for number, (h, v, fragments) in enumerate(page.evaluate(SLIDES), 1):
        page.evaluate("place => Reveal.slide(...place)", [h, v, fragments - 1])
        found = page.evaluate(LOOK, [SMALLEST_TEXT, SMALLEST_PICTURE])
        problems += [f"slide {number}: {problem}" for problem in found]
        if pictures:
            Path(pictures).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(pictures) / f"{Path(path).stem}-{number:02}.png")
    return problems


def watch(page):
    """Return a list to which errors of scripts are added, and requests that leave this machine, which are refused."""
    problems = []

    def only_local(route):
        address = route.request.url
        if address.startswith(("file:", "data:", "blob:", "about:")):
            return route.continue_()
        problems.append(f"{address} is loaded from the web")
        return route.abort()

    page.context.route("**/*", only_local)
    page.on("pageerror", lambda error: problems.append(f"error of a script: {error}"))
    page.on("console", lambda line: problems.append(f"error: {line.text}") if line.type == "error" else None)
    page.on("requestfailed", lambda request: problems.append(f"{request.url[:100]} is not loaded"))
    return problems
