"""How the mailbox looks."""

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --page: #f5f4f0; --card: #fff; --ink: #1d1f24; --soft: #666b75; --line: #e3e1da; --tint: #f0eee8;
  --good: #146c43; --good-tint: #e0f2e8; --bad: #a3261c; --bad-tint: #fbe6e3; --odd: #7d5300; --odd-tint: #fbefd5;
  --email: #2b52c4; --email-tint: #e6ecfb; --sms: #6d34b8; --sms-tint: #efe6fa; --whatsapp: #146c43;
  --whatsapp-tint: #e0f2e8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14161a; --card: #1d2026; --ink: #e9e8e4; --soft: #9aa0ab; --line: #2e323b; --tint: #272b33;
    --good: #7fd6a8; --good-tint: #17342a; --bad: #ff9d92; --bad-tint: #43201d; --odd: #f0c268; --odd-tint: #3b2d10;
    --email: #9db6ff; --email-tint: #202c4f; --sms: #cda8ff; --sms-tint: #33234c; --whatsapp: #7fd6a8;
    --whatsapp-tint: #17342a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 3rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
header { display: flex; align-items: baseline; gap: .25rem 1rem; flex-wrap: wrap; margin-bottom: 1rem; }
h1 { font-size: 1.5rem; margin: 0; letter-spacing: -.01em; }
header p { margin: 0; color: var(--soft); flex: 1; }
a { color: var(--email); }
summary { cursor: pointer; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary:focus-visible, a:focus-visible { outline: 2px solid var(--email); outline-offset: -2px; border-radius: .5rem; }
.message { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; margin-bottom: .5rem; }
.message > summary {
  display: grid; gap: .1rem .75rem; padding: .7rem 1rem; align-items: center; border-radius: .75rem;
  grid-template: "channel to state time" auto "channel line line line" auto / 5.5rem minmax(0, 1fr) auto auto;
}
.message > summary:hover { background: var(--tint); }
.message[open] > summary { border-bottom: 1px solid var(--line); border-radius: .75rem .75rem 0 0; }
.channel, .state { font-size: .8rem; font-weight: 600; border-radius: 1rem; padding: .1rem .6rem; }
.channel { grid-area: channel; background: var(--tint); color: var(--soft); text-align: center; }
.channel.email { background: var(--email-tint); color: var(--email); }
.channel.sms { background: var(--sms-tint); color: var(--sms); }
.channel.whatsapp { background: var(--whatsapp-tint); color: var(--whatsapp); }
.to { grid-area: to; font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.line { grid-area: line; color: var(--soft); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.line strong { color: var(--ink); font-weight: 500; margin-right: .35rem; }
.state { grid-area: state; background: var(--tint); color: var(--soft); white-space: nowrap; }
.state.good { background: var(--good-tint); color: var(--good); }
.state.bad { background: var(--bad-tint); color: var(--bad); }
.state.odd { background: var(--odd-tint); color: var(--odd); }
time { grid-area: time; color: var(--soft); font-size: .85rem; font-variant-numeric: tabular-nums; }
iframe {
  display: block; width: calc(100% - 2rem); height: 20rem; margin: 1rem; border: 1px solid var(--line);
  border-radius: .5rem; background: #fff; color-scheme: light; resize: vertical;
}
pre { margin: 1rem; white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; }
pre.bubble {
  width: fit-content; max-width: 34rem; padding: .6rem .9rem; border-radius: 1rem 1rem 1rem .25rem;
  background: var(--tint);
}
.plain > summary { margin: 0 1rem .75rem; color: var(--soft); text-decoration: underline; width: fit-content; }
dl {
  margin: 0; padding: .75rem 1rem; border-top: 1px solid var(--line); display: flex; flex-wrap: wrap; gap: .4rem 2rem;
  font-size: .85rem;
}
dl div { min-width: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.empty {
  text-align: center; color: var(--soft); padding: 4rem 1rem; border: 1px dashed var(--line); border-radius: .75rem;
}
footer { margin-top: 1.5rem; color: var(--soft); font-size: .9rem; }
.legend > summary { text-decoration: underline; width: fit-content; }
table { border-collapse: collapse; margin: .75rem 0; color: var(--ink); }
td { padding: .15rem 1.5rem .15rem 0; vertical-align: top; }
code { font-size: .9em; overflow-wrap: anywhere; }
@media (max-width: 36rem) {
  .message > summary {
    grid-template: "to to to" auto "line line line" auto "channel state time" auto / auto auto 1fr;
    gap: .25rem .5rem; padding: .7rem .8rem;
  }
  time { text-align: right; }
  .line { white-space: normal; display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; }
  .state { width: fit-content; }
  iframe { width: calc(100% - 1rem); margin: .5rem; height: 22rem; }
}
"""
