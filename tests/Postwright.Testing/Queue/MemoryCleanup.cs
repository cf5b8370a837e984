using Postwright.Server.Cleanup;
using Postwright.Server.Queue;

namespace Postwright.Testing.Queue;

/// <summary>A cleanup that adds nothing: content as it comes into the store, then to the queue.</summary>
public sealed class MemoryCleanup(IMessageStore store, Action<string> arrived) : ICleanup
{
    /// <summary>Refuses messages, as a full disk would.</summary>
    public CleanupStatus Answer { get; set; } = CleanupStatus.Queued;

    /// <summary>What every message waits for before it is kept; null for nothing.</summary>
    public Task? Before { get; set; }

    /// <summary>Refuses some messages, by their recipients; null for <see cref="Answer"/>.</summary>
    public Func<IReadOnlyList<EnvelopeRecipient>, CleanupStatus?> AnswerFor { get; set; } = static _ => null;

    public ICleanupMessage Begin(Envelope envelope, CleanupOptions options) => new Message(this, envelope);

    private sealed class Message(MemoryCleanup owner, Envelope envelope) : ICleanupMessage
    {
        private readonly MemoryStream _content = new();
        private readonly List<EnvelopeRecipient> _recipients = [.. envelope.Recipients];

        public void AddRecipient(EnvelopeRecipient recipient) => _recipients.Add(recipient);

        public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => _content.WriteAsync(bytes, cancellationToken);

        public async ValueTask<CleanupStatus> FinishAsync(CancellationToken cancellationToken)
        {
            await (owner.Before ?? Task.CompletedTask).WaitAsync(cancellationToken);
            CleanupStatus answer = owner.AnswerFor(_recipients) ?? owner.Answer;
            if (answer == CleanupStatus.Queued)
            {
                await owner.Store.AppendAsync(
                    envelope with { Recipients = _recipients, Size = _content.Length }, new MemoryContent(_content.ToArray()), cancellationToken);
                owner.Arrived(envelope.QueueId);
            }

            return answer;
        }

        public void Dispose() => _content.Dispose();
    }

    private IMessageStore Store => store;

    private Action<string> Arrived => arrived;
}
