using System.Text;
using Postwright.Core.Seams;

namespace Postwright.Testing.Dialogues;

/// <summary>A line that was not as the dialogue has it.</summary>
/// <param name="Line">The step's line in the file.</param>
/// <param name="Expected">What the file says.</param>
/// <param name="Actual">What the server said, or <c>(closed)</c>.</param>
public sealed record DialogueMismatch(int Line, string Expected, string Actual)
{
    /// <inheritdoc />
    public override string ToString() => $"line {Line}: expected \"{Expected}\", got \"{Actual}\"";
}

/// <summary>Plays a dialogue's client side and compares what the server says.</summary>
public sealed class DialoguePlayer(IConnection connection)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);

    private readonly byte[] _buffer = new byte[65536];
    private int _start;
    private int _end;

    /// <summary>Plays to the end, or until the server closes where it should not.</summary>
    public async Task<IReadOnlyList<DialogueMismatch>> PlayAsync(Dialogue dialogue)
    {
        using CancellationTokenSource limit = new(Limit);
        List<DialogueMismatch> mismatches = [];
        foreach (DialogueStep step in dialogue.Steps)
        {
            if (step.Kind == StepKind.Send)
            {
                if (!await SendAsync(step.Text, limit.Token))
                {
                    mismatches.Add(new DialogueMismatch(step.Line, "(open)", "(closed)"));
                    return mismatches;
                }
            }
            else if (step.Kind is StepKind.Expect or StepKind.ExpectEnd)
            {
                string expected = step.Kind == StepKind.Expect ? step.Text : "(closed)";
                string actual = await ReadLineAsync(limit.Token) ?? "(closed)";
                if (!Dialogue.Matches(expected, actual))
                {
                    mismatches.Add(new DialogueMismatch(step.Line, expected, actual));
                    if (actual == "(closed)")
                    {
                        return mismatches;
                    }
                }
            }
            else if (step.Kind == StepKind.CloseClient)
            {
                await connection.DisposeAsync();
                return mismatches;
            }
        }

        return mismatches;
    }

    private async Task<bool> SendAsync(string text, CancellationToken token)
    {
        try
        {
            await connection.SendAsync(Encoding.Latin1.GetBytes(text), token);
            return true;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            return false;
        }
    }

    private async Task<string?> ReadLineAsync(CancellationToken token)
    {
        while (true)
        {
            int newline = _buffer.AsSpan(_start, _end - _start).IndexOf((byte)'\n');
            if (newline >= 0)
            {
                string line = Encoding.UTF8.GetString(_buffer, _start, newline).TrimEnd('\r');
                _start += newline + 1;
                return line;
            }

            if (_start > 0)
            {
                _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
                _end -= _start;
                _start = 0;
            }

            int count;
            try
            {
                count = await connection.ReceiveAsync(_buffer.AsMemory(_end), token);
            }
            catch (OperationCanceledException)
            {
                return "(nothing)";
            }
            catch (IOException)
            {
                return null;
            }

            if (count == 0)
            {
                return null;
            }

            _end += count;
        }
    }
}
