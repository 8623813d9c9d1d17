import vm from 'node:vm';

type Listener = (event: { preventDefault: () => void }) => unknown;

/** An element as far as the approval page uses it; anything that reads markup throws. */
class FakeElement {
  readonly tagName: string;
  textContent = '';
  value = '';
  hidden = false;
  disabled = false;
  readonly children: FakeElement[] = [];
  readonly #listeners = new Map<string, Listener>();

  constructor(tagName: string) {
    this.tagName = tagName;
  }

  replaceChildren(...children: FakeElement[]): void {
    this.children.splice(0, this.children.length, ...children);
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, listener);
  }

  fire(type: string): void {
    this.#listeners.get(type)?.({ preventDefault: () => {} });
  }

  /** What a reader sees of it, line by line. */
  lines(): string[] {
    return this.children.length === 0 ? [this.textContent] : this.children.flatMap((child) => child.lines());
  }
}

for (const name of ['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'append', 'setAttribute', 'onclick']) {
  Object.defineProperty(FakeElement.prototype, name, {
    get: () => refuse(name),
    set() {
      refuse(name);
    },
  });
}

function refuse(name: string): never {
  throw new Error(`the page uses ${name}`);
}

/** A request of the page's script. */
export interface PageRequest {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
  readonly options: Readonly<Record<string, unknown>>;
}

/** What a request is answered with. */
export interface PageAnswer {
  readonly status?: number;
  readonly body: unknown;
}

/** The page's script in a world without a browser: elements by id, and an API that the test plays. */
export function openPage(html: string, path: string, answer: (request: PageRequest) => PageAnswer | undefined) {
  const elements = new Map<string, FakeElement>();
  for (const [, tag = '', attributes = ''] of html.matchAll(/<([a-z]+)((?: [^>]*)?)>/g)) {
    const id = /\bid="([^"]+)"/.exec(attributes)?.[1];
    const element = new FakeElement(tag);
    element.hidden = / hidden\b/.test(attributes);
    elements.set(id ?? `element ${elements.size}`, element);
  }
  const requests: PageRequest[] = [];
  const ticks: (() => void)[] = [];
  const fetchAnswer = async (url: string, options: Record<string, unknown>) => {
    const headers = options['headers'] as Record<string, string>;
    const body: unknown = JSON.parse(String(options['body']));
    const request = { path: url, authorization: headers['authorization'], body, options };
    requests.push(request);
    const given = answer(request);
    if (given === undefined) throw new TypeError('Failed to fetch');
    const status = given.status ?? 200;
    return { ok: status < 300, status, json: async () => JSON.parse(JSON.stringify(given.body)) };
  };
  const world = {
    location: { pathname: path },
    document: {
      getElementById: (id: string) => elements.get(id) ?? refuse(`the element ${id}, which it has not`),
      createElement: (tag: string) => new FakeElement(tag),
      querySelectorAll: (tag: string) => [...elements.values()].filter(({ tagName }) => tagName === tag),
    },
    fetch: fetchAnswer,
    setInterval: (tick: () => void) => ticks.push(tick),
  };
  vm.runInNewContext(/<script>(.*)<\/script>/s.exec(html)?.[1] ?? '', world);
  const element = (id: string) => elements.get(id) ?? refuse(id);
  return {
    requests,
    element,
    tick: () => ticks.forEach((tick) => tick()),
    /** Value of a name in a list of the page. */
    fact: (list: string, name: string) => {
      const { children } = element(list);
      return children[children.findIndex(({ textContent }) => textContent === name) + 1]?.textContent;
    },
  };
}
