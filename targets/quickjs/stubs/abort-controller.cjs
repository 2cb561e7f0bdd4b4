// In place of npm abort-controller, which throws without the events of a browser: nothing of ours is aborted by signal.
class AbortController {}
class AbortSignal {}
module.exports = { AbortController, AbortSignal };
