using Postwright.Commands.Shared;
using Postwright.Core.Control;
using Postwright.Core.Logging;
using Postwright.Core.Records;
using Postwright.Server.Master.Control;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;
using Postwright.Server.Receive.Pickup;

namespace Postwright.Commands;

/// <summary>
/// showq(8) by itself: reads the queue while the mail system is down and writes its listing, as the control socket would, to
/// standard output for postqueue. Changes nothing.
/// </summary>
internal static class Showq
{
    /// <summary>Runs the command.</summary>
    public static int Run(string[] args) => RunAsync(args).GetAwaiter().GetResult();

    private static async Task<int> RunAsync(string[] args)
    {
        var messages = new CommandMessages("showq", Console.Error, fatalStatus: 1);
        var options = new GetOpt("showq", args, "c:uSv", Console.Error);
        string? directory = null;
        while (options.Next() is { } option)
        {
            if (option == '?')
            {
                return messages.Fatal("usage: showq [-c config_dir]");
            }

            directory = option == 'c' ? options.Argument : directory;
        }

        if (ConfigurationChoice.Load(directory, messages, out int status) is not { } configuration)
        {
            return status;
        }

        try
        {
            var log = new MailLog(new StandardErrorSink(), "postfix/showq", Environment.ProcessId);
            var maildrop = new MaildropListing(new MaildropDirectory(Path.Combine(configuration.GetString("queue_directory"), "maildrop"), log));
            var writer = new RecordWriter(Console.OpenStandardOutput());
            await foreach (ListedMessage message in maildrop.ListAsync(CancellationToken.None))
            {
                Write(writer, message);
            }

            using SpoolReader? spool = DirectQueue.Read(configuration);
            foreach (ListedMessage message in spool is null ? [] : Listed(spool))
            {
                Write(writer, message);
            }

            writer.Write(ControlProtocol.Answer, ControlProtocol.Encode([ControlProtocol.Done, ""]));
            writer.Flush();
            return 0;
        }
        catch (IOException failure)
        {
            return messages.Fatal(failure.Message);
        }
    }

    private static void Write(RecordWriter writer, ListedMessage message)
    {
        foreach ((byte type, byte[] data) in ListingRecords.Encode(message))
        {
            writer.Write(type, data);
        }
    }

    private static IEnumerable<ListedMessage> Listed(SpoolReader spool)
    {
        IReadOnlyList<QueueEntry> entries = spool.Entries();
        foreach (QueueName queue in (QueueName[])[QueueName.Incoming, QueueName.Deferred, QueueName.Hold])
        {
            foreach (QueueEntry entry in entries.Where(one => one.Queue == queue))
            {
                using StoredMessage? message = spool.Load(entry.QueueId);
                if (message is not null)
                {
                    yield return ControlService.Listed(StoppedQueueControl.Listing(message));
                }
            }
        }
    }
}
