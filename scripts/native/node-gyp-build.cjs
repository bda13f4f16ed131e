// Stands in for node-gyp-build, by which netlink finds its native module, when the supervisor is bundled: the one that
// there is, which the bundler copies beside the bundle.
module.exports = () => require('netlink/prebuilds/linux-x64/node.napi.node');
