using System.Globalization;
using Postwright.Simulation.Engine;
using Postwright.Simulation.Network;
using Postwright.Simulation.World;

namespace Postwright.Simulation.Ledger;

/// <summary>
/// What became of every recipient of every message, found from outside: from what clients read, what mailboxes and servers
/// got, what the disk would still have after a power cut, and the log. A broken promise ends the world.
/// <para>
/// Parts: this one (what happens), Log (what the log tells), Queue (what the ledger reads of the queue); then what must hold:
/// Published (on the way in), Delivered, Left (on the way out), Starts (from one process to the next), Promises (beyond that).
/// </para>
/// </summary>
internal sealed partial class MailLedger(SimWorld world)
{
    private readonly Dictionary<string, Copy> _copies = new(StringComparer.Ordinal);
    private readonly List<Copy> _order = [];
    private readonly Dictionary<(int Message, int Attempt), Transaction> _transactions = [];
    private readonly Dictionary<int, HashSet<string>> _refused = [];
    private readonly SortedDictionary<string, int> _outcomes = new(StringComparer.Ordinal);

    /// <summary>No message is in the queue, nor on its way out of it.</summary>
    public bool AllHaveLeftForGood => _here.Count == 0;

    /// <summary>Recipients by outcome, duplicates by cause.</summary>
    public IReadOnlyDictionary<string, int> Outcomes => _outcomes;

    /// <summary>A client begins to send content.</summary>
    public Transaction Begin(MessagePlan message, int attempt, IReadOnlyList<string> recipients)
    {
        Transaction transaction = new(message, attempt, [.. recipients]);
        _transactions[(message.Number, attempt)] = transaction;
        return transaction;
    }

    /// <summary>A local user's message is in the maildrop, synced: it is ours from now on.</summary>
    public void Submitted(MessagePlan message, string file) => _transactions[(message.Number, 1)] =
        new Transaction(message, 1, message.Recipients) { DotSent = true, Code = 250, IsLocal = true, File = file };

    /// <summary>A maildrop file is removed: its message must be in the queue, or have been there.</summary>
    public void MaildropRemoved(string file)
    {
        Transaction transaction = _transactions.Values.First(one => one.File == file);
        if (world.Serving?.Spool is not null)
        {
            Look(world.Serving);
        }

        if (transaction.Copy is not { IsPublished: true } copy || !(copy.IsOnDisk || copy.HasLeft))
        {
            Fail($"maildrop/{file} is removed before m{transaction.Message.Number} is in the queue");
        }

        transaction.FileIsGone = true;
    }

    /// <summary>The server refused recipients for good: they are not ours.</summary>
    public void Refused(MessagePlan message, IEnumerable<string> recipients)
    {
        if (!_refused.TryGetValue(message.Number, out HashSet<string>? refused))
        {
            _refused[message.Number] = refused = [];
        }

        refused.UnionWith(recipients);
    }

    /// <summary>The server sends "250 ... queued as": the message must be on the disk by now.</summary>
    public void Acknowledged(string queueId)
    {
        Copy copy = CopyOf(queueId);
        copy.IsAcknowledged = true;
        if (!copy.IsOnDisk)
        {
            Fail($"250 was said for {copy} before its record was synced");
        }

        if (!copy.IsPublished && world.Serving is { } life)
        {
            Look(life);
        }

        if (!copy.IsPublished)
        {
            Fail($"250 was said for {copy}, which is not in the queue");
        }
    }

    /// <summary>A client has read 250.</summary>
    public void SeenByClient(Transaction transaction, string queueId)
    {
        Copy copy = CopyOf(queueId);
        if (copy.Transaction != transaction || !copy.IsAcknowledged)
        {
            Fail($"a client read 250 for {queueId}, which is {copy}");
        }
    }

    /// <summary>A message has reached somebody.</summary>
    /// <param name="content">What came.</param>
    /// <param name="address">Whom it is for.</param>
    /// <param name="where">Who has it.</param>
    /// <param name="life">The process that sent it; it may be dead by now.</param>
    /// <param name="server">For a server elsewhere: its end of the connection.</param>
    public Effect Delivered(byte[] content, string address, string where, Life life, SimEnd? server = null)
    {
        Letter.Found found = Letter.Read(content);
        if (!_copies.TryGetValue(found.QueueId, out Copy? copy))
        {
            Fail($"{where} got a message for {address} of which nobody knows: queue ID {found.QueueId}");
            throw world.Broken!;
        }

        Effect effect = new(copy, address, where, life, server) { IsForgotten = life is { IsDead: true, HasEndedInOrder: false }, IsSettled = copy.HasLeftForGood };
        world.History.Note("ledger", $"delivered {copy.QueueId} to {address} at {where}");
        CheckContent(copy, found);
        CheckDelivery(copy, effect);
        copy.Effects.Add(effect);
        CheckHeard(effect);
        if (effect.IsLocal && life is { IsDead: true, HasEndedInOrder: true })
        {
            Fail($"{copy} was delivered to {address} by a process that had stopped in order");
        }

        return effect;
    }

    /// <summary>Local delivery answers that a recipient is others.</summary>
    public void Expanded(string queueId, string address, string[] members) => CopyOf(queueId).Expansions[address] = members;

    public void DeleteAsked(string queueId) => CopyOf(queueId).DeleteAsked = true;

    public void RequeueAsked(string queueId) => CopyOf(queueId).RequeueAsked = true;

    /// <summary>The administrator was told that it is gone.</summary>
    public void DeleteDone(string queueId) => CopyOf(queueId).HasLeftForGood = true;

    public string Describe() => string.Join("\n", _order.Where(static copy => copy.IsPublished && !copy.HasLeft).Select(static copy => copy.ToString()));

    private void Count(string outcome) => _outcomes[outcome] = _outcomes.GetValueOrDefault(outcome) + 1;

    private Copy CopyOf(string queueId)
    {
        if (!_copies.TryGetValue(queueId, out Copy? copy))
        {
            copy = new Copy(queueId, world.Scheduler.Now);
            _copies[queueId] = copy;
            _order.Add(copy);
        }

        return copy;
    }

    /// <summary>A promise is broken. The server may swallow the exception; the world does not.</summary>
    private void Fail(string what)
    {
        world.Broken ??= new SimulationException(string.Create(CultureInfo.InvariantCulture, $"at {TimeSpan.FromTicks(world.Scheduler.Now)}: {what}"));
        throw world.Broken;
    }
}
