using Postwright.Core.Logging;
using Postwright.Server.Queue;
using Postwright.Server.Route;

namespace Postwright.Server.Cleanup;

/// <summary>
/// cleanup(8): every message passes here on its way into the queue, whoever brings it. One instance serves all sessions of
/// one configuration; messages begun under it end under it.
/// </summary>
/// <param name="settings">Limits and header rules.</param>
/// <param name="store">Where messages are kept; 250 waits for it.</param>
/// <param name="queue">Told of each message once it is durable.</param>
/// <param name="rewriter">Completes local addresses, of the envelope and in headers.</param>
/// <param name="aliases">virtual_alias_maps, or null when there are none.</param>
/// <param name="time">The clock, and the zone of generated dates.</param>
/// <param name="log">Under the tag of cleanup.</param>
public sealed class CleanupService(
    CleanupSettings settings,
    IMessageStore store,
    IQueueControl queue,
    IAddressRewriter rewriter,
    IVirtualAliases? aliases,
    TimeProvider time,
    MailLog log) : ICleanup
{
    internal CleanupSettings Settings { get; } = settings;

    internal IMessageStore Store { get; } = store;

    internal IQueueControl Queue { get; } = queue;

    internal IAddressRewriter Rewriter { get; } = rewriter;

    internal IVirtualAliases? Aliases { get; } = aliases;

    internal TimeProvider Time { get; } = time;

    internal MailLog Log { get; } = log;

    /// <inheritdoc />
    public ICleanupMessage Begin(Envelope envelope, CleanupOptions options)
    {
        string sender = options == CleanupOptions.None ? envelope.Sender : Rewriter.Rewrite(envelope.Sender);
        return new CleanupMessage(this, ReferenceEquals(sender, envelope.Sender) ? envelope : envelope with { Sender = sender }, options);
    }
}
