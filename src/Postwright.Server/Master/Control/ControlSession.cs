using System.Buffers;
using Postwright.Core.Control;
using Postwright.Core.Records;
using Postwright.Core.Seams;

namespace Postwright.Server.Master.Control;

/// <summary>What a client of the control socket may do.</summary>
internal enum ControlRights
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>What postqueue does for any user.</summary>
    ListAndFlush,

    /// <summary>Everything.</summary>
    All,
}

/// <summary>One client: reads requests, answers each. A malformed one ends the connection.</summary>
internal sealed class ControlSession(IConnection connection, ControlService service, ControlRights rights, TimeSpan idleTime, TimeProvider clock)
    : IControlAnswer
{
    private const int BlockSize = 32 << 10;

    private readonly ArrayBufferWriter<byte> _output = new(BlockSize);
    private readonly byte[] _input = new byte[ControlProtocol.RecordLimit + RecordParser.MaximumHeader];
    private int _start;
    private int _end;

    /// <summary>Serves the client until it leaves.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (await ReadRequestAsync(cancellationToken) is var (type, fields))
        {
            string why = Needs(type) > rights ? "permission denied" : await service.ServeAsync(type, fields, this, cancellationToken);
            if (why.Length > 0)
            {
                await WriteAsync(ControlProtocol.Answer, [why], cancellationToken);
            }

            await FlushAsync(cancellationToken);
        }
    }

    /// <inheritdoc />
    public ValueTask WriteAsync(byte type, IEnumerable<string> fields, CancellationToken cancellationToken) =>
        WriteAsync(type, ControlProtocol.Encode(fields), cancellationToken);

    /// <inheritdoc />
    public async ValueTask WriteAsync(byte type, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        int header = RecordParser.WriteHeader(_output.GetSpan(RecordParser.MaximumHeader), type, data.Length);
        _output.Advance(header);
        _output.Write(data.Span);
        if (_output.WrittenCount >= BlockSize)
        {
            await FlushAsync(cancellationToken);
        }
    }

    private static ControlRights Needs(byte request) => request is ControlProtocol.Change or ControlProtocol.Get ? ControlRights.All : ControlRights.ListAndFlush;

    private async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        using var idle = new CancellationTokenSource(idleTime, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, idle.Token);
        await connection.SendAsync(_output.WrittenMemory, either.Token);
        _output.ResetWrittenCount();
    }

    private async ValueTask<(byte Type, IReadOnlyList<string> Fields)?> ReadRequestAsync(CancellationToken cancellationToken)
    {
        using var idle = new CancellationTokenSource(idleTime, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, idle.Token);
        while (true)
        {
            switch (RecordParser.TryRead(_input.AsSpan(_start, _end - _start), ControlProtocol.RecordLimit, out byte type, out int header, out int length))
            {
                case RecordStatus.Parsed:
                    IReadOnlyList<string> fields = ControlProtocol.Decode(_input.AsSpan(_start + header, length));
                    _start += header + length;
                    return (type, fields);
                case RecordStatus.Invalid:
                    return null;
            }

            _input.AsSpan(_start, _end - _start).CopyTo(_input);
            (_start, _end) = (0, _end - _start);
            int count = await connection.ReceiveAsync(_input.AsMemory(_end), either.Token);
            if (count == 0)
            {
                return null;
            }

            _end += count;
        }
    }
}
