using System.Globalization;
using Postwright.Core.Configuration;
using Postwright.Core.Control;
using Postwright.Core.Logging;
using Postwright.Core.Records;
using Postwright.Core.Seams;
using Postwright.Server.Master.Control;
using Postwright.Server.Queue.Spool;
using Postwright.Server.Receive.Pickup;

namespace Postwright.Commands.Shared;

/// <summary>How postsuper reaches the queue.</summary>
internal interface IQueueChanger : IAsyncDisposable
{
    /// <summary>Changes messages.</summary>
    /// <param name="letter">postsuper's option.</param>
    /// <param name="queues">Where to look.</param>
    /// <param name="ids">Queue IDs, or <c>ALL</c> alone.</param>
    /// <param name="say">Takes a line per message.</param>
    /// <returns>How many were changed; null if the system went away.</returns>
    Task<int?> ChangeAsync(char letter, string[] queues, IEnumerable<string> ids, Action<string> say);
}

/// <summary>Over the control socket while the system runs, else in the spool itself.</summary>
internal static class QueueChanger
{
    /// <summary>Opens the way; null after a fatal message.</summary>
    public static async Task<IQueueChanger?> OpenAsync(MailConfiguration configuration, UserEntry? owner, CommandMessages messages)
    {
        if (ControlClient.TryConnect(configuration.GetString("queue_directory"), out ControlClient? client, out string reason) is var status && client is not null)
        {
            return new RunningChanger(client);
        }

        if (status == ControlConnectStatus.NotPermitted)
        {
            messages.Fatal($"connect to the mail system: {reason}");
            return null;
        }

        if (owner is null || (ProcessIdentity.EffectiveUser == 0 && owner.Uid != 0 && !ProcessIdentity.Become(owner.Uid, owner.Gid)))
        {
            messages.Fatal($"cannot become the mail_owner {configuration.GetString("mail_owner")}");
            return null;
        }

        try
        {
            var log = new MailLog(new StandardErrorSink(), "postfix/postsuper", Environment.ProcessId);
            return new StoppedChanger(await DirectQueue.OpenAsync(configuration, log), Path.Combine(configuration.GetString("queue_directory"), "maildrop"), log);
        }
        catch (IOException failure)
        {
            messages.Fatal($"open the queue: {failure.Message}");
            return null;
        }
    }

    private sealed class RunningChanger(ControlClient client) : IQueueChanger
    {
        public Task<int?> ChangeAsync(char letter, string[] queues, IEnumerable<string> ids, Action<string> say)
        {
            int changed = 0;
            foreach (string[] group in ids.Chunk(ControlProtocol.QueueIdsInRecord))
            {
                if (Change([letter.ToString(), string.Join(',', queues), .. group], say) is not { } count)
                {
                    return Task.FromResult<int?>(null);
                }

                changed += count;
            }

            return Task.FromResult<int?>(changed);
        }

        public ValueTask DisposeAsync()
        {
            client.Dispose();
            return ValueTask.CompletedTask;
        }

        private int? Change(IEnumerable<string> fields, Action<string> say)
        {
            try
            {
                client.Send(ControlProtocol.Change, fields);
                while (client.Reader.Read() == RecordReadStatus.Record)
                {
                    IReadOnlyList<string> answer = ControlProtocol.Decode(client.Reader.Data.Span);
                    if (client.Reader.Type == ControlProtocol.Answer)
                    {
                        return CountOf(answer, say);
                    }

                    say(answer.Count > 0 ? answer[0] : "");
                }
            }
            catch (IOException)
            {
                // Told by the null.
            }

            return null;
        }
    }

    private static int? CountOf(IReadOnlyList<string> answer, Action<string> say)
    {
        if (answer is [ControlProtocol.Done, var count])
        {
            return int.Parse(count, CultureInfo.InvariantCulture);
        }

        say(answer.Count > 0 ? answer[0] : "malformed answer");
        return null;
    }

    private sealed class StoppedChanger : IQueueChanger, IControlAnswer
    {
        private readonly Spool? _spool;
        private readonly MaildropListing _maildrop;
        private readonly ControlService? _service;
        private Action<string> _say = static _ => { };
        private int? _changed;

        public StoppedChanger(Spool? spool, string maildrop, MailLog log)
        {
            _spool = spool;
            _maildrop = new MaildropListing(new MaildropDirectory(maildrop, log));
            _service = spool is null ? null : new ControlService(new StoppedQueueControl(spool), spool, _maildrop, static () => { });
        }

        public async Task<int?> ChangeAsync(char letter, string[] queues, IEnumerable<string> ids, Action<string> say)
        {
            (_say, _changed) = (say, 0);
            int changed = 0;
            foreach (string[] group in ids.Chunk(ControlProtocol.QueueIdsInRecord))
            {
                if (_service is null)
                {
                    changed += ChangeMaildrop(letter, queues, group);
                    continue;
                }

                string why = await _service.ServeAsync(ControlProtocol.Change, [letter.ToString(), string.Join(',', queues), .. group], this, CancellationToken.None);
                if (why.Length > 0 || _changed is null)
                {
                    say(why);
                    return null;
                }

                changed += _changed.Value;
            }

            return changed;
        }

        public ValueTask WriteAsync(byte type, IEnumerable<string> fields, CancellationToken cancellationToken)
        {
            string[] all = [.. fields];
            if (type == ControlProtocol.Answer)
            {
                _changed = CountOf(all, _say);
            }
            else
            {
                _say(all[0]);
            }

            return ValueTask.CompletedTask;
        }

        public ValueTask WriteAsync(byte type, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
            WriteAsync(type, ControlProtocol.Decode(data.Span), cancellationToken);

        public ValueTask DisposeAsync() => _spool?.DisposeAsync() ?? ValueTask.CompletedTask;

        /// <summary>Before the first start there is a maildrop directory and no spool.</summary>
        private int ChangeMaildrop(char letter, string[] queues, string[] ids)
        {
            int changed = 0;
            bool everything = ids is ["ALL"];
            foreach (string id in letter != 'd' || !queues.Contains("maildrop") ? [] : everything ? _maildrop.Names() : ids)
            {
                if (_maildrop.Remove(id))
                {
                    changed++;
                    if (!everything)
                    {
                        _say($"{id}: removed");
                    }
                }
            }

            return changed;
        }
    }
}
