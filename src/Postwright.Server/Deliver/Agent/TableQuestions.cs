using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Core.Tables;

namespace Postwright.Server.Deliver.Agent;

/// <summary>
/// The agent's side of lookups in tables on servers. The agent talks to no server: in the middle of a delivery it asks mail, over
/// the connection on which mail waits for the delivery's results. Mail's word counts as a server's does, and no more. A mail
/// process that is gone, silent or talks nonsense is a temporary error; then nothing more is asked over that connection, which ends
/// with its delivery.
/// </summary>
/// <param name="log">For questions without an answer.</param>
/// <param name="time">Measures the wait.</param>
/// <param name="limit">How long mail may take; longer than its own limit when left out.</param>
public sealed class TableQuestions(MailLog log, TimeProvider time, TimeSpan? limit = null)
{
    private readonly TimeSpan _limit = limit ?? ServedTables.DefaultLimit + TimeSpan.FromSeconds(30);

    // A connection has a thread of its own, and so has each delivery.
    [ThreadStatic]
    private static Line? _line;

    /// <summary>Asks mail for a key, on the thread of a delivery.</summary>
    /// <param name="table">The table's name, as configured.</param>
    /// <param name="key">The key.</param>
    public LookupResult Ask(string table, string key)
    {
        if (_line is not { IsBroken: false } line)
        {
            return LookupResult.TemporaryError($"{table}: the mail process cannot be asked");
        }

        byte[] question = TableFrames.Question(table, key);
        if (question.Length > TableFrames.QuestionLimit)
        {
            return Failed(table, "the key is too long");
        }

        try
        {
            return line.Ask(question, time, _limit);
        }
        catch (Exception failure) when (failure is IOException or InvalidDataException)
        {
            line.IsBroken = true;
            return Failed(table, $"mail process: {failure.Message}");
        }
    }

    /// <summary>From now on the calling thread's questions go over <paramref name="connection"/>.</summary>
    internal static Line Use(FrameSocket connection) => _line = new Line(connection);

    private LookupResult Failed(string table, string reason)
    {
        string text = $"table {table} lookup error: {reason}";
        log.Warning(text);
        return LookupResult.TemporaryError(text);
    }

    /// <summary>A connection over which mail can be asked while it waits for results.</summary>
    internal sealed class Line(FrameSocket connection)
    {
        /// <summary>True after a failure: the two sides may be out of step.</summary>
        public bool IsBroken { get; set; }

        /// <summary>A question and its answer.</summary>
        /// <exception cref="IOException">Mail is gone, or does not answer in time.</exception>
        /// <exception cref="InvalidDataException">It answers nonsense.</exception>
        public LookupResult Ask(byte[] question, TimeProvider time, TimeSpan limit)
        {
            connection.Send(question);
            long asked = time.GetTimestamp();
            byte[] answer = connection.Receive(TableFrames.AnswerLimit, () => limit - time.GetElapsedTime(asked), out Microsoft.Win32.SafeHandles.SafeFileHandle? unexpected)
                ?? throw new IOException("it ended before its answer");
            if (unexpected is not null)
            {
                unexpected.Dispose();
                throw new InvalidDataException("a descriptor with its answer");
            }

            return TableFrames.ReadAnswer(answer);
        }
    }
}
